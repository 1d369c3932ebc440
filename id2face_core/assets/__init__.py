"""Files that the pipeline needs: third-party ones in the model folder, ours in `id2face_core/weights`."""

from .folder import Health, model_folder, require, require_folder, status
from .registry import ASSETS, PACKAGES, Asset, Package
from .weights import load_weights, our_weights, update_registry, weights_digest

__all__ = [
    "ASSETS", "Asset", "Health", "PACKAGES", "Package", "load_weights", "model_folder", "our_weights", "require",
    "require_folder", "status", "update_registry", "weights_digest",
]  # fmt: skip
