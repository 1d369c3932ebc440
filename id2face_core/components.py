"""Everything that `Anonymizer` needs, loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from .assets import model_folder, our_weights, require, require_folder
from .assets.weights import WEIGHTS
from .attributes.extractor import AttributeExtractor
from .devices import probe
from .diffusion.closed_form import ConditionalMean
from .diffusion.denoiser import StyleDenoiser
from .diffusion.groomer import StyleGroomer
from .diffusion.recomposer import Recomposer, Refinement
from .diffusion.refiner import StyleRefiner
from .diffusion.surrogate import StyleSurrogate
from .errors import ConfigError
from .faces.centerface import CenterFace
from .faces.landmarks import FILES, LandmarkModel, MeshNetwork
from .faces.occlusion import OcclusionReader
from .faces.person import PersonNetwork
from .faces.tiling import TiledDetector
from .faces.types import FaceDetector
from .generator.loader import load_generator
from .generator.protocol import FaceGenerator
from .generator.window import Window
from .identity.encoder import FaceEncoder, IdentityEncoder
from .identity.traits import IdentityTraits
from .identity.vae import IdentityVAE

WINDOW = Window(0.10, 1.0, 0.12, 0.88)  # brow to chin, hair and ears of an FFHQ-aligned frame
FULL_WINDOW = Window(0.0, 1.0, 0.0, 1.0)  # where all of the hair is wanted


def window_origin(window: Window) -> np.ndarray:
    """(x, y) of a window's corner in the 512 px frame."""
    pixels = window.exact_pixels(512)
    return np.array([pixels.x0, pixels.y0], dtype=np.float64)


WINDOW_ORIGIN = window_origin(WINDOW)
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
    landmarks: Path | None = None  # folder of the networks that are loaded when they are first needed

    @cached_property
    def occlusion(self) -> OcclusionReader:
        """Hands in front of faces. Raises AssetMissingError."""
        return OcclusionReader.from_folder(self._landmark_folder("palm_detection_lite", "hand_landmark_lite"))

    @cached_property
    def person(self) -> PersonNetwork:
        """Person against background. Raises AssetMissingError."""
        return PersonNetwork.from_folder(self._landmark_folder("selfie_segmentation"))

    def _landmark_folder(self, *names: str) -> Path:
        root = None if self.landmarks is None else self.landmarks.parent
        return require_folder("landmarks", names, root)

    @property
    def nominal_points(self) -> np.ndarray:
        return NOMINAL_POINTS

    @classmethod
    def load(
        cls, model_dir: Path | None, device: str, detectors: tuple[str, ...], weights: Path = WEIGHTS
    ) -> Components:
        """Load from the model folder and `weights` (default: the bundled ones). Raises AssetMissingError, AssetCorruptError."""
        folder = model_dir or model_folder()
        choice = probe(device)
        vae = IdentityVAE.from_pretrained(our_weights("identity_vae", weights)).float().eval()
        mean = ConditionalMean.from_pretrained(our_weights("closed_form", weights)).eval()
        denoiser = StyleDenoiser.from_pretrained(our_weights("denoiser", weights), torch_dtype=torch.float32).eval()
        surrogate = StyleSurrogate.from_pretrained(our_weights("surrogate", weights)).float().eval()
        groomer = StyleGroomer.from_pretrained(our_weights("groomer", weights)).float().eval()
        refiner = StyleRefiner.from_pretrained(our_weights("refiner", weights)).float().eval()
        encoder = IdentityEncoder.from_pretrained(our_weights("identity_encoder", weights), torch_dtype=torch.float32)
        landmarks = require_folder("landmarks", FILES, folder)
        return cls(
            detector=TiledDetector(load_detector(detectors, folder)),
            mesh=MeshNetwork.from_folder(landmarks),
            extractor=AttributeExtractor.from_folder(our_weights("attributes", weights)),
            encoder=encoder.eval().to(choice.device),
            vae=vae,
            traits=IdentityTraits.from_pretrained(our_weights("identity_traits", weights)).float().eval(),
            recomposer=Recomposer(
                mean.float(), denoiser.float(), vae.config.latent_dim, Refinement(refiner, surrogate, vae), groomer
            ),
            surrogate=surrogate,
            generator=load_generator(folder, choice.device, choice.dtype),
            device=choice.device,
            dtype=choice.dtype,
            landmarks=landmarks,
        )


def load_detector(names: tuple[str, ...], folder: Path) -> FaceDetector:
    """Detectors by name, united. Raises ConfigError, AssetMissingError."""
    from .faces.detection import UnionDetector
    from .faces.scrfd import InsightFaceDetector, ScrfdDetector

    found: list[FaceDetector] = []
    for name in names:
        if name == "centerface":
            found.append(CenterFace(require("detection", "centerface.onnx", folder)))
        elif name.endswith(".onnx"):
            found.append(ScrfdDetector(Path(name)))
        elif name.startswith("insightface:"):
            found.append(InsightFaceDetector(name.removeprefix("insightface:")))
        else:
            raise ConfigError(
                f"detector {name!r} is unknown; choose centerface, the path of an SCRFD .onnx file, or insightface:PACK"
            )
    return found[0] if len(found) == 1 else UnionDetector(found)
