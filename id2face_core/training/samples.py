"""Faces of the weights of a run: a grid to look at, with the gates that made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Generator

from ..components import SPREAD, WINDOW
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.recomposer import Recomposer, Refinement
from ..diffusion.refiner import StyleRefiner
from ..diffusion.surrogate import StyleSurrogate
from ..generator.loader import load_generator
from ..generator.protocol import pixels
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE
from .table import Table

COUNT, COLUMNS, SIDE = 64, 8, 128


@torch.inference_mode()
def sample_faces(output: Path, count: int = COUNT, steps: int = 8, seed: int = 0) -> tuple[Path, np.ndarray]:
    """Random identities with the attributes of held-out rows, drawn by the denoiser of a run and rendered.

    Returns:
        The picture pictures/samples.png, eight faces a row, and the mean gates [depth, groups].
    """
    vae = IdentityVAE.from_pretrained(output / "identity_vae").eval()
    traits = IdentityTraits.from_pretrained(output / "identity_traits").eval()
    mean = ConditionalMean.from_pretrained(output / "closed_form").eval()
    denoiser = StyleDenoiser.from_pretrained(output / "denoiser").eval()
    surrogate = StyleSurrogate.from_pretrained(output / "surrogate").eval()
    refinement = Refinement(StyleRefiner.from_pretrained(output / "refiner").eval(), surrogate, vae)
    rows = Table.load(output / "table").split()[1].attributes
    attributes = rows[torch.arange(count) % len(rows)]
    latents = traits.condition(vae.sample(count, Generator().manual_seed(seed)), attributes)
    made = Recomposer(mean, denoiser, vae.config.latent_dim, refinement)(
        latents, attributes, [Generator().manual_seed(seed + i) for i in range(count)], steps=steps, spread=SPREAD
    )
    generator = load_generator()
    faces = []
    for styles in made.styles:
        face = pixels(generator.synthesize(styles[None], WINDOW, False))[0]
        faces.append(Image.fromarray(face).resize((SIDE, SIDE * face.shape[0] // face.shape[1]), Image.Resampling.LANCZOS))
    gates = np.zeros((0, 0)) if made.gates is None else made.gates.float().mean(dim=1).numpy()
    return _grid(faces, output / "pictures/samples.png"), gates


def _grid(faces: list[Image.Image], path: Path) -> Path:
    width, height = faces[0].size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(faces) // COLUMNS) * height))
    for i, face in enumerate(faces):
        sheet.paste(face, (i % COLUMNS * width, i // COLUMNS * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path
