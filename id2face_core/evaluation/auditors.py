"""The recognisers of the development data. Those that took part in training are reported apart and never decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..audit.recognisers import Auditor, DlibAuditor, OnnxAuditor, Recipe
from ..errors import AssetMissingError

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RECIPES = (
    Recipe("w600k_mbf", "w600k_mbf.onnx", np.full(3, 127.5), np.full(3, 127.5)),
    Recipe("casia_112x96", "mobilefacenet_casia_xiaoccer_112x96.onnx", np.full(3, 127.5), np.full(3, 128.0), 8),
    Recipe("foamliu", "mobilefacenet_ms1m_foamliu.onnx", IMAGENET_MEAN * 255, IMAGENET_STD * 255, 0, True),
)


def load_auditors(data_dir: Path, names: Sequence[str] | None = None) -> list[Auditor]:
    """All recognisers that are there (dlib only when installed). `names` selects."""
    folder = Path(data_dir) / "weights" / "recognition"
    found: list[Auditor] = [OnnxAuditor(r, folder) for r in RECIPES if names is None or r.name in names]
    if names is None or "dlib" in names:
        try:
            found.append(DlibAuditor())
        except AssetMissingError:
            if names is not None:
                raise
    return found
