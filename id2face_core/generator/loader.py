"""The packaged generator as one module behind the `FaceGenerator` protocol."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..assets import require
from ..errors import AssetCorruptError
from .mobilestylegan import W_DIM, MappingNetwork, SynthesisNetwork
from .window import Window

MEAN_SAMPLES = 20_000
MEAN_SEED = 123


class MobileStyleGAN(nn.Module):
    """Mapping and synthesis network with the mean style. Parameters need no gradient; inputs may."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = MappingNetwork()
        self.synthesis = SynthesisNetwork()
        self._w_mean: Tensor | None = None

    @property
    def num_styles(self) -> int:
        return self.synthesis.num_styles

    @property
    def w_dim(self) -> int:
        return W_DIM

    @property
    def w_mean(self) -> Tensor:
        """Mean of w over 20,000 random z of a fixed seed [512], computed at first use."""
        if self._w_mean is None:
            z = torch.randn(MEAN_SAMPLES, W_DIM, generator=torch.Generator().manual_seed(MEAN_SEED))
            with torch.no_grad():
                self._w_mean = self.map(z).float().mean(dim=0)
        return self._w_mean

    def map(self, z: Tensor) -> Tensor:
        """z [B, 512] of a standard normal -> w [B, 512], on the device of the generator."""
        return self.mapping(z.to(next(self.mapping.parameters())))

    def synthesize(self, w: Tensor, window: Window | None = None, full_size: bool = True) -> Tensor:
        """Render w [B, 512] or W+ [B, 23, 512]; see `SynthesisNetwork.forward`. Gradients flow to w. Raises ShapeError.

        Returns:
            [B, 3, S, S] float32, about -1..1 (not clamped).
        """
        return self.synthesis(w.to(self.synthesis.stem.weight), window, full_size).float()


def load_generator(
    model_dir: Path | None = None, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> MobileStyleGAN:
    """The packaged generator in evaluation mode and channels_last, float32 unless `dtype` says otherwise.

    Raises:
        AssetMissingError: it was not set up. AssetCorruptError: the file is not what it should be.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = require("generator", "mobilestylegan", model_dir)
    with torch.device("meta"):
        generator = MobileStyleGAN()
    try:
        generator.load_state_dict(load_file(path), assign=True)
    except (RuntimeError, SafetensorError) as error:
        raise AssetCorruptError(f"{path} does not hold the generator's tensors; run: id2face setup") from error
    generator.eval().requires_grad_(False)
    placed: MobileStyleGAN = generator.to(  # type: ignore[call-overload]
        device=device, dtype=dtype, memory_format=torch.channels_last
    )
    return placed
