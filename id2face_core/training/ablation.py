"""Ablation of the denoiser's losses: each switched off once, all at the same budget, on the tables and the prior of one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .config import LossWeights, TrainConfig
from .recomposer import denoiser_figures
from .recomposer_stage import denoiser_task
from .workshop import Workshop
from .world import World

VARIANTS: dict[str, dict[str, float]] = {
    "all losses": {},
    "no diffusion": {"diffusion": 0.0},
    "no identity masking": {"mask_identity": 0.0, "mask_attributes": 0.0},
    "no recomposition": {
        "recompose_identity": 0.0, "recompose_away": 0.0, "recompose_attributes": 0.0, "recompose_back": 0.0,
    },
    "no recomposition, away": {"recompose_away": 0.0},
    "no recomposition, back": {"recompose_back": 0.0},
    "no alignment": {"alignment": 0.0, "alignment_latent": 0.0, "alignment_real": 0.0},
    "no alignment of latents": {"alignment_latent": 0.0},
    "no posterior noise": {"identity_noise": 0.0},
}  # fmt: skip
FIGURES = ("v_error", "identity", "source", "attributes")


def weights_of(variant: str, base: LossWeights) -> LossWeights:
    """The base's weights with a variant's terms off."""
    changes: dict[str, Any] = VARIANTS[variant]
    return replace(base, **changes)


def ablate(output: Path, config: TrainConfig, seconds: float, resume: bool = False) -> str:
    """Train every variant for an equal share of the time; returns a markdown table, also written to ablation.md.

    Raises:
        AssetMissingError: the stages before the recomposer did not run in this folder.
    """
    world = World.join(config.device)
    share = seconds / len(VARIANTS)
    rows: list[tuple[str, int, dict[str, float]]] = []
    for name in VARIANTS:
        recomposer = replace(config.recomposer, losses=weights_of(name, config.recomposer.losses))
        settings = replace(config, recomposer=recomposer)
        work = Workshop(output, None, None, settings, world, share, resume=resume)
        task, test = denoiser_task(work)
        if not rows:
            rows.append(("untrained (the closed form)", 0, denoiser_figures(task, test)))
        task.name = "ablation/" + name.replace(",", "").replace(" ", "_")
        fit = work.fit(task, replace(config.recomposer.denoiser, share=1.0))
        rows.append((name, fit.steps, denoiser_figures(task, test)))
    table = _table(rows, share)
    if world.main:
        (output / "ablation.md").write_text(table + "\n", encoding="utf-8")
    return table


def _table(rows: list[tuple[str, int, dict[str, float]]], seconds: float) -> str:
    lines = [
        f"{seconds / 60:.1f} minutes each. identity: cosine with the identity asked for (higher is better); source: with the",
        "face whose attributes were given (lower); attributes: squared error in deviations (lower); by the surrogate.", "",
        "| losses | steps | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 2) + "|",
    ]  # fmt: skip
    lines += [f"| {name} | {steps} | " + " | ".join(f"{figures[f]:.3f}" for f in FIGURES) + " |" for name, steps, figures in rows]
    return "\n".join(lines)
