"""The configuration of a training run: frozen dataclasses, rungs of the ladder, and values from files and `--set`.

Unknown keys and values of another type are errors. What a rung changes stands in `RUNGS`; a file (`--config`, TOML or JSON)
comes over it, `--set section.key=value` over both.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ..errors import ConfigError

STAGES = ("synthesize", "attributes", "identity", "prior", "recomposer", "export")
Section = TypeVar("Section")


@dataclass(frozen=True)
class Optimisation:
    """How one network is trained: AdamW (arXiv 1711.05101) for a share of its stage's time.

    batch is that of one process; the probe may raise it on a device that gains by it. steps: at most so many, 0 = no limit.
    """

    share: float = 1.0
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    steps: int = 0


@dataclass(frozen=True)
class LoopConfig:
    """What all networks share, see `loop.py`."""

    warmup_steps: int = 100
    decay_share: float = 0.2  # of the budget, at the end
    ema: float = 0.999
    clip: float = 1.0  # gradient norm
    checkpoint_seconds: float = 120.0
    log_every: int = 20
    precision: str = "auto"  # float32, autocast, bfloat16 (weights too, fp32 masters); auto measures
    max_batch_growth: int = 8  # the probe doubles the batch up to so many times the configured one; 1 leaves it alone


@dataclass(frozen=True)
class TeacherConfig:
    """Names or files, see `teachers.py`. second: reads age and sex beside the person network; eye: what the critic sees with;
    `none`: there is no such reader, or no critic."""

    recogniser: str = "foamliu"
    blendshapes: str = "mediapipe"
    expression: str = "mediapipe"
    person: str = "labels"
    second: str = "none"
    eye: str = "none"


@dataclass(frozen=True)
class SynthesizeConfig:
    """Faces, and what is measured on them. render_share, real_share: of the stage's time; the rest measures generated faces.

    measure: `files` keeps the pictures and measures them by `workers` processes, `batches` measures in torch what it renders,
    without files between; `auto` takes batches on a GPU.
    """

    share: float = 0.35
    faces: int = 1_000_000  # at most
    real_faces: int = 1_000_000  # at most
    shard: int = 64
    render_batch: int = 0  # 0: 1 on a CPU, 64 on a GPU
    measure: str = "auto"
    render_share: float = 0.6
    real_share: float = 0.2
    workers: int = 1  # processes that measure


@dataclass(frozen=True)
class AttributesConfig:
    """Networks of the attribute vector, of expressions, and the witness. person_widths, witness_widths: their channels.

    keep: the package's networks are taken as they are, and only the tables are made.
    """

    share: float = 0.15
    blendshapes: Optimisation = Optimisation(0.15, 512, 1e-3, 1e-4)
    expression: Optimisation = Optimisation(0.15, 256, 1e-3, 0.05)
    person: Optimisation = Optimisation(0.3, 64, 2e-3, 0.05)
    person_widths: tuple[int, ...] = (24, 48, 96, 160)
    witness: Optimisation = Optimisation(0.25, 64, 2e-3, 0.05)
    witness_widths: tuple[int, ...] = (32, 56, 112, 192)
    expression_width: int = 384
    keep: bool = False
    glasses: bool = True  # spread the hand labels of glasses over the real faces


@dataclass(frozen=True)
class IdentityConfig:
    """The student encoder and the Identity VAE.

    map_hint, relation: weights of the teacher's feature maps and of the relational loss beside 1 - cos.
    kl: weight of the VAE's KL per dimension. keep_vae: the package's VAE is taken as it is, so that saved latents keep their
    meaning. real_weight: how much more often a real face is drawn than a generated one.
    """

    share: float = 0.2
    encoder: Optimisation = Optimisation(0.8, 64, 2e-3, 0.02)
    vae: Optimisation = Optimisation(0.15, 512, 2e-3, 0.01)
    encoder_widths: tuple[int, ...] = (64, 128, 256)
    encoder_blocks: tuple[int, ...] = (2, 2, 2)
    latent_dim: int = 96
    vae_width: int = 512
    real_weight: float = 3.0
    map_hint: float = 0.25
    relation: float = 1.0
    kl: float = 0.003
    keep_vae: bool = False


@dataclass(frozen=True)
class PriorConfig:
    """Closed-form mean, traits of identities and the surrogate (of `surrogate_width`)."""

    share: float = 0.05
    surrogate: Optimisation = Optimisation(1.0, 256, 1e-3, 0.05)
    surrogate_width: int = 768
    ridge: float = 30.0


@dataclass(frozen=True)
class LossWeights:
    """Weights of the denoiser's losses; 0 switches a term off and saves its passes.

    mask_identity, mask_attributes: chance that a row loses that condition (identity-masked learning).
    identity_noise: how much of the posterior's spread is drawn on identity latents; attribute_noise: deviation, in standard
    deviations of the table, of noise on attributes (what they tell of identity is in their last digits).
    """

    diffusion: float = 1.0
    recompose_identity: float = 0.5
    recompose_away: float = 0.2
    recompose_attributes: float = 0.2
    recompose_back: float = 0.2
    alignment: float = 0.1
    alignment_latent: float = 0.1
    alignment_real: float = 0.1
    mask_identity: float = 0.1
    mask_attributes: float = 0.1
    identity_noise: float = 0.5
    attribute_noise: float = 0.0


@dataclass(frozen=True)
class RefinerConfig:
    """Weights of the refiner's losses (0 switches one off) and shares of its wishes.

    identity: 1 - cosine of the read with the wished identity. attributes: squared mismatch, weighted as `ranking.importance`
    times how well the surrogate reads each. residual: growth of the whitened residual's power, which would leave the faces
    that the generator knows. own: wishes for the identity of the face itself; edited: with another age; margin: greatest
    cosine of a sampled identity with the face's own, drawn from a range; temperature: how far identities spread, likewise, and
    spread: of the residual that is refined.
    rounds: how often what it asks for is rendered (at most `round_faces`, in `round_share` of the stage's time, and as much
    again to measure) to correct the surrogate, and both trained on; see `corrections.py`. decoder: at last, trained through the
    generator, with what is read off the pictures (a GPU's work; share 0: not at all); composed: there too, 1 - cosine of the
    finished picture with the wished identity, composed_away: its cosine with the face that was replaced, where it is positive;
    traits: how far the finished picture's latent is from the wish in the directions of age, sex and descent; second: how far age
    and sex are off by `teachers.second`, a reader of another kind; coach: how far these and descent are off by a network that is
    taught as the witness is, from another start (`coached`); shapes: mean error of the blendshapes seen closely, over what is
    tolerated; guided_to: through the decoder new faces are guided as in use, from 1 times to so many; variety: how much more
    alike than wished two new faces for one source are (half of a batch are such pairs); natural: how plainly a critic with
    `teachers.eye` sees that a face was put there, as a share of the slope of `composed`; contexts: photographs, at most, that
    faces are put into.
    """

    optimisation: Optimisation = Optimisation(0.1, 256, 1e-3, 0.01)
    identity: float = 1.0
    attributes: float = 0.5
    residual: float = 0.6
    own: float = 0.25
    edited: float = 0.25
    expression_swapped: float = 0.1
    margin_from: float = -0.6
    margin_to: float = 0.0
    temperature_from: float = 1.0
    temperature_to: float = 2.0
    spread_from: float = 0.3
    spread_to: float = 0.8
    width: int = 768
    rounds: int = 2
    round_faces: int = 2000
    round_share: float = 0.1
    corrected: Optimisation = Optimisation(0.02, 256, 5e-4, 0.05)
    decoder: Optimisation = Optimisation(0.0, 96, 3e-4, 0.01)
    composed: float = 1.0
    composed_away: float = 1.0
    traits: float = 0.5
    second: float = 0.5
    coach: float = 0.0
    coached: Optimisation = Optimisation(0.05, 256, 1e-3, 0.05)
    shapes: float = 0.5
    guided_to: float = 1.8
    variety: float = 1.0
    natural: float = 0.3
    contexts: int = 12288


@dataclass(frozen=True)
class RecomposerConfig:
    """Denoiser and refiner.

    rare_every: terms that need whole extra passes are taken on every so many steps, at as many times the weight.
    through: `surrogate` reads recompositions off the style code; `decoder` renders the first `decoder_rows` of a batch and reads
    identity, age and sex off the picture (a GPU's work).
    compiled: the generator is (`torch.compile`), while it is trained through. groomer_faces: rendered at most, in
    `groomer_share` of the stage's time, for the groomer, a ridge regression.
    """

    share: float = 0.25
    denoiser: Optimisation = Optimisation(0.25, 96, 5e-4, 0.01)
    refiner: RefinerConfig = RefinerConfig()
    losses: LossWeights = LossWeights()
    width: int = 256
    depth: int = 3
    heads: int = 4
    rare_every: int = 4
    through: str = "surrogate"
    decoder_rows: int = 8
    compiled: bool = False
    groomer_faces: int = 10_000
    groomer_share: float = 0.05
    groomer_ridge: float = 500.0
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run is made of."""

    seed: int = 0
    device: str = "auto"
    threads: int = 0  # of torch on a CPU; 0 leaves its own choice
    loop: LoopConfig = LoopConfig()
    teachers: TeacherConfig = TeacherConfig()
    synthesize: SynthesizeConfig = SynthesizeConfig()
    attributes: AttributesConfig = AttributesConfig()
    identity: IdentityConfig = IdentityConfig()
    prior: PriorConfig = PriorConfig()
    recomposer: RecomposerConfig = RecomposerConfig()
    pictures: bool = True  # loss curves, and after the denoiser the gates and a grid of faces
    samples: int = 64  # faces of the grid; 0 leaves it out


_BUNDLED = {"recogniser": "bundled", "blendshapes": "bundled", "expression": "bundled", "person": "bundled"}
RUNGS: dict[str, dict[str, Any]] = {
    # two minutes on two idle cores, no data needed: proves that the chain works, trains nothing worth having. Counted in faces
    # and steps, so that it does the same on any machine; the minutes are a limit.
    "smoke": {
        "samples": 8,
        "teachers": _BUNDLED,
        "loop": {"warmup_steps": 10, "log_every": 5, "ema": 0.9, "max_batch_growth": 1, "precision": "float32"},
        "synthesize": {"share": 0.5, "faces": 64, "shard": 16, "real_share": 0.0, "render_share": 0.8},
        "attributes": {
            "share": 0.15, "person_widths": [8, 16, 32, 32], "expression_width": 32, "glasses": False,
            "blendshapes": {"batch": 128, "steps": 40}, "expression": {"batch": 64, "steps": 40},
            "person": {"batch": 16, "steps": 60},
        },
        "identity": {
            "share": 0.15, "encoder_widths": [16, 32, 64], "encoder_blocks": [1, 1, 1], "encoder": {"batch": 16, "steps": 60},
            "vae": {"batch": 64, "steps": 80}, "vae_width": 128, "latent_dim": 32,
        },
        "prior": {"share": 0.05, "surrogate_width": 128, "surrogate": {"batch": 64, "steps": 80}},
        "recomposer": {
            "share": 0.15, "width": 64, "depth": 2, "heads": 2, "denoiser": {"batch": 32, "learning_rate": 2e-3, "steps": 100},
            "refiner": {
                "width": 128, "optimisation": {"batch": 64, "steps": 80}, "rounds": 1, "round_faces": 16,
                "corrected": {"batch": 64, "steps": 20}, "decoder": {"batch": 2, "steps": 2}, "contexts": 16,
            },
            "groomer_faces": 32,
        },
    },
    # hours on a CPU: the bundled weights
    "cpu": {},
    # one GPU, 12 minutes: what the bundled identity encoder, person network, surrogate, denoiser and refiner come from. The
    # networks of the attribute vector and the VAE are the package's. The refiner is trained through the generator for as long
    # as there is time.
    "gpu": {
        "teachers": {"second": "age_gender", "eye": "alexnet"},
        "synthesize": {"share": 0.2, "faces": 36864, "shard": 1024, "workers": 12, "render_share": 0.7, "real_share": 0.3},
        "attributes": {"share": 0.03, "keep": True},
        "identity": {"share": 0.2, "encoder": {"batch": 512}, "real_weight": 4.0, "keep_vae": True},
        "prior": {"share": 0.05, "surrogate_width": 1280, "surrogate": {"batch": 1024, "steps": 4000}},
        "recomposer": {
            "share": 0.52, "compiled": True, "denoiser": {"batch": 512, "share": 0.3},
            "refiner": {
                "width": 1536, "own": 0.2, "attributes": 0.8, "composed": 1.5, "composed_away": 2.5, "traits": 1.5, "second": 0.8,
                "coach": 0.8, "guided_to": 2.2, "variety": 2.0,
                "optimisation": {"batch": 512, "share": 0.05, "steps": 900}, "rounds": 1,
                "round_faces": 8192, "round_share": 0.02, "corrected": {"batch": 1024, "share": 0.02, "steps": 900},
                "decoder": {"batch": 64, "learning_rate": 3e-4, "share": 0.6},
            },
        },
    },
}  # fmt: skip


def load_config(rung: str = "cpu", file: Path | None = None, overrides: Sequence[str] = ()) -> TrainConfig:
    """A rung's configuration with a file and `section.key=value` over it.

    Raises:
        ConfigError: unknown rung or key, wrong type, unreadable file.
    """
    if rung not in RUNGS:
        raise ConfigError(f"rung {rung!r} is unknown; choose {', '.join(RUNGS)}")
    values = _merged({}, RUNGS[rung])
    if file is not None:
        values = _merged(values, _read(file))
    for text in overrides:
        values = _merged(values, _override(text))
    return from_mapping(TrainConfig, values)


def from_mapping(kind: type[Section], values: Mapping[str, Any], default: Section | None = None, where: str = "") -> Section:
    """A frozen dataclass from nested mappings over `default`. Raises ConfigError that names key and value."""
    start = kind() if default is None else default
    hints = get_type_hints(kind)
    known = {f.name: getattr(start, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"unknown key {where + unknown[0]!r}; known here: {', '.join(known)}")
    made = {}
    for name, old in known.items():
        if name not in values:
            made[name] = old
        elif is_dataclass(old):
            if not isinstance(values[name], Mapping):
                raise ConfigError(f"{where + name} is a section; give {where + name}.key=value")
            made[name] = from_mapping(hints[name], values[name], old, f"{where}{name}.")
        else:
            made[name] = _typed(values[name], old, where + name)
    return kind(**made)


def _typed(value: Any, old: Any, name: str) -> Any:
    """`value` in the type of the default `old`."""
    if isinstance(old, tuple) and isinstance(value, list | tuple) and all(type(v) is int for v in value):
        return tuple(value)
    if type(old) is float and type(value) is int:
        return float(value)
    if type(value) is type(old):
        return value
    raise ConfigError(f"{name} is {value!r}; expected {type(old).__name__} such as {old!r}")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the configuration {file.name} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the configuration {file.name} is no table of sections")
    return values


def _override(text: str) -> dict[str, Any]:
    """`section.key=value` -> {section: {key: value}}; the value as TOML writes it, other text is a string."""
    path, equals, value = text.partition("=")
    if not (path and equals and value):
        raise ConfigError(f"--set {text!r} is not section.key=value")
    try:
        parsed: Any = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(path.split(".")):
        parsed = {part: parsed}
    return parsed


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(low)
    for key, value in high.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = _merged(out[key], value) if both else value
    return out
