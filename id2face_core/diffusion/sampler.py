"""Sampling the whitened residual: one pass of conditional diffusion, no optimisation at inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

from ..errors import ConfigError
from .denoiser import StyleDenoiser

TRAIN_STEPS = 1000
_COMMON = {"num_train_timesteps": TRAIN_STEPS, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}


def make_scheduler(name: str = "dpmpp_2m") -> DDIMScheduler | DPMSolverMultistepScheduler:
    """`dpmpp_2m` (arXiv 2211.01095) or `ddim` (arXiv 2010.02502), both for v-prediction. Raises ConfigError."""
    if name == "dpmpp_2m":
        return DPMSolverMultistepScheduler(**_COMMON, algorithm_type="dpmsolver++", final_sigmas_type="zero")
    if name == "ddim":
        return DDIMScheduler(**_COMMON, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing")
    raise ConfigError(f"scheduler {name!r} is unknown; choose dpmpp_2m or ddim")


@torch.no_grad()
def sample(
    denoiser: StyleDenoiser,
    identity: Tensor,
    attributes: Tensor,
    noise: Tensor,
    steps: int = 4,
    scheduler: str = "dpmpp_2m",
    callback: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Denoise from pure noise.

    Args:
        identity, attributes: standardised conditions, [B, I] and [B, A].
        noise: [B, G, D].
        steps: network calls.
        callback: called with (step, current x) after each step; may raise to interrupt.

    Returns:
        [B, G, D] whitened residual.
    """
    if not 1 <= steps <= TRAIN_STEPS:
        raise ConfigError(f"steps is {steps}; choose 1 to {TRAIN_STEPS} (8 to 20 is usual)")
    solver = make_scheduler(scheduler)
    solver.set_timesteps(steps, device=noise.device)
    x = noise * solver.init_noise_sigma
    for i, t in enumerate(solver.timesteps):
        x = solver.step(denoiser(x, t.expand(len(x)), identity, attributes), t, x).prev_sample
        if callback is not None:
            callback(i, x)
    return x
