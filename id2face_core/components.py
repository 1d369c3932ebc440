"""Everything that `Anonymizer` needs, loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .assets import model_folder, our_weights, require
from .attributes.extractor import AttributeExtractor
from .devices import probe
from .diffusion.closed_form import ConditionalMean
from .diffusion.denoiser import StyleDenoiser
from .diffusion.recomposer import Recomposer
from .diffusion.surrogate import StyleSurrogate
from .errors import ConfigError
from .faces.centerface import CenterFace
from .faces.landmarks import LandmarkModel, MeshNetwork
from .faces.tiling import TiledDetector
from .faces.types import FaceDetector
from .generator.loader import load_generator
from .generator.protocol import FaceGenerator
from .generator.window import Window
from .identity.encoder import FaceEncoder, IdentityEncoder
from .identity.traits import IdentityTraits
from .identity.vae import IdentityVAE

WINDOW = Window(0.10, 1.0, 0.12, 0.88)  # brow to chin, hair and ears of an FFHQ-aligned frame
WINDOW_ORIGIN = np.array([WINDOW.exact_pixels(512).x0, WINDOW.exact_pixels(512).y0], dtype=np.float64)
# Where eyes, nose tip and mouth corners lie on average in a 512 px FFHQ-aligned frame (26,000 generated faces).
NOMINAL_POINTS = 512 * np.array([[0.376, 0.471], [0.621, 0.471], [0.502, 0.639], [0.386, 0.725], [0.616, 0.725]])
SPREAD = 0.5


@dataclass
class Components:
    """Loaded networks and constants of one model."""

    detector: FaceDetector
    mesh: LandmarkModel
    extractor: AttributeExtractor
    encoder: FaceEncoder
    vae: IdentityVAE
    traits: IdentityTraits
    recomposer: Recomposer
    surrogate: StyleSurrogate
    generator: FaceGenerator
    device: torch.device
    dtype: torch.dtype
    window: Window = WINDOW
    spread: float = SPREAD

    @property
    def nominal_points(self) -> np.ndarray:
        return NOMINAL_POINTS

    @classmethod
    def load(cls, model_dir: Path | None, device: str, detectors: tuple[str, ...]) -> Components:
        """Load from the model folder and the bundled weights. Raises AssetMissingError, AssetCorruptError."""
        folder = model_dir or model_folder()
        choice = probe(device)
        vae = IdentityVAE.from_pretrained(our_weights("identity_vae")).eval()
        mean = ConditionalMean.from_pretrained(our_weights("closed_form")).eval()
        denoiser = StyleDenoiser.from_pretrained(our_weights("denoiser"), torch_dtype=torch.float32).eval()
        encoder = IdentityEncoder.from_pretrained(our_weights("identity_encoder"), torch_dtype=torch.float32)
        mesh_file = require("landmarks", "face_landmark.tflite", folder)
        require("landmarks", "iris_landmark.tflite", folder)
        return cls(
            detector=TiledDetector(_detector(detectors, folder)),
            mesh=MeshNetwork.from_folder(mesh_file.parent),
            extractor=AttributeExtractor.from_folder(our_weights("attributes")),
            encoder=encoder.eval().to(choice.device),
            vae=vae.float(),
            traits=IdentityTraits.from_pretrained(our_weights("identity_traits")).float().eval(),
            recomposer=Recomposer(mean.float(), denoiser.float(), vae.config.latent_dim),
            surrogate=StyleSurrogate.from_pretrained(our_weights("surrogate")).float().eval(),
            generator=load_generator(folder, choice.device, choice.dtype),
            device=choice.device,
            dtype=choice.dtype,
        )


def _detector(names: tuple[str, ...], folder: Path) -> FaceDetector:
    from .faces.detection import UnionDetector
    from .faces.scrfd import ScrfdDetector

    found: list[FaceDetector] = []
    for name in names:
        if name == "centerface":
            found.append(CenterFace(require("detection", "centerface.onnx", folder)))
        elif name.endswith(".onnx"):
            found.append(ScrfdDetector(Path(name)))
        else:
            raise ConfigError(f"detector {name!r} is unknown; choose centerface, or the path of an SCRFD .onnx file")
    return found[0] if len(found) == 1 else UnionDetector(found)
