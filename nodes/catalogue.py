"""All nodes of the pack."""

from __future__ import annotations

from .anonymize import AnonymizeFaces
from .attributes import EditAttributes, ExtractAttributes
from .audit import AnonymityAudit
from .check import PrivacyCheck
from .detect import DetectFaces
from .harmonize import HarmonizedDiffusion
from .identity import EncodeIdentity, OrthogonalMapping, Pseudonym, SampleIdentity
from .identity_files import BlendIdentity, LoadIdentity, SaveIdentity
from .loader import LoadModel, UnloadModel
from .paste import PasteFaces, Redact
from .save import PreviewClean, SaveAnonymized, SaveAnonymizedVideo

NODES = (
    AnonymizeFaces, LoadModel, DetectFaces, EncodeIdentity, SampleIdentity, OrthogonalMapping, Pseudonym, ExtractAttributes,
    EditAttributes, HarmonizedDiffusion, PasteFaces, SaveIdentity, LoadIdentity, BlendIdentity, PrivacyCheck, SaveAnonymized,
    SaveAnonymizedVideo, PreviewClean, Redact, UnloadModel, AnonymityAudit,
)  # fmt: skip
