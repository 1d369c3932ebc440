"""One run of the evaluation: thresholds, controls, the product, utility, grids."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..audit.contact_sheet import contact_sheet, face_window
from ..audit.features import load_features
from ..audit.frechet import distance_with_floor
from ..errors import ConfigError
from ..options import PRESETS, AnonymizeOptions
from .auditors import Auditor, load_auditors
from .cache import CachedAuditor
from .channel import put_back
from .detection import Detector, load_detectors
from .gates import gates
from .groups import group_figures
from .outcomes import Outcome, Product, run_product
from .people import person_figures
from .privacy import Judge, diversity, identity_channel
from .report import markdown
from .sets import Sample, load_set
from .thresholds import Threshold, fit_threshold, load_pool, pool_of
from .traits_judge import PackagedJudge, Reader, TraitsJudge, judged
from .utility import FaceReader, utility_figures

log = logging.getLogger("id2face.evaluation")
GRID_CELLS = 64
PUT_BACK = 40  # pictures of a set whose own identity is put back
ALL = "all sets"
FEATURES = "weights/quality/keras_mobilenet_v2_imagenet_int8.tflite"


@dataclass(frozen=True)
class Plan:
    """What to run. seeds: of the diversity figure, 0 leaves it out. cache: folder of embeddings; None: the output."""

    data_dir: Path
    output: Path
    sets: tuple[str, ...]
    preset: str = "balanced"
    seed: int = 0
    limit: tuple[int, ...] = ()  # pictures of each set, or one number for all
    seeds: int = 0
    auditors: tuple[str, ...] | None = None
    controls: bool = True
    cache: Path | None = None


def evaluate(plan: Plan, product: Product | None) -> dict[str, Any]:
    """Run, write figures.json, figures.md and the grids, and return the figures."""
    plan.output.mkdir(parents=True, exist_ok=True)
    limits = plan.limit * len(plan.sets) if len(plan.limit) == 1 else plan.limit or (None,) * len(plan.sets)
    if len(limits) != len(plan.sets):
        raise ConfigError(f"{len(limits)} limits for {len(plan.sets)} sets; give one, or one for each")
    samples = {name: load_set(plan.data_dir, name, n) for name, n in zip(plan.sets, limits, strict=True)}
    cache = plan.cache or plan.output
    cache.mkdir(parents=True, exist_ok=True)
    auditors = [CachedAuditor(a, cache) for a in load_auditors(plan.data_dir, plan.auditors)]
    thresholds = fit_all(auditors, plan)
    detectors = load_detectors(plan.data_dir)
    options = AnonymizeOptions(seed=plan.seed, preset=plan.preset)
    outcomes: dict[str, list[Outcome]] = {}
    for name in samples if product is not None else ():
        assert product is not None
        outcomes[name] = run_product(product, samples[name], options, lambda i, n, name=name: _tell(name, i, n))  # type: ignore[misc]
        _write_grid(plan.output / f"grid_{name}.png", outcomes[name])
    own = _own_identities(plan, product, samples)
    figures: dict[str, Any] = {
        "schema": "id2face-evaluation/1", "preset": plan.preset, "seed": plan.seed,
        "pictures": {name: len(s) for name, s in samples.items()},
        "states": {name: Counter(_state(o) for o in found) for name, found in outcomes.items()},
        "thresholds": [_threshold_row(a, t) for (a, _), t in thresholds.items()],
        "privacy": [], "identity_channel": [], "utility": {}, "diversity": [],
    }  # fmt: skip
    for auditor in auditors:
        for name, chosen in samples.items():
            judge = Judge(auditor, thresholds[auditor.name, pool_of(name)], name, chosen)
            figures["privacy"] += judge.real_rows() + (judge.control_rows() if plan.controls else [])
            if name in outcomes:
                figures["privacy"] += judge.product_rows(outcomes[name], detectors[0])
            if name in own:
                figures["identity_channel"].append(identity_channel(own[name], judge, detectors[0]))
            log.info("%s judged %s", auditor.name, name)
        auditor.save()
    if product is not None:
        readers, faces = _traits_judges(auditors, plan.data_dir, cache), FaceReader(plan.data_dir)
        _add_utility(figures, plan, outcomes, detectors, product, readers, faces)
        figures["groups"] = _groups(plan, outcomes, auditors, thresholds, detectors[0], faces, readers)
        figures["diversity"] = _diversity(plan, product, samples, auditors, options)
    figures["gates"] = gates(figures)
    write(figures, plan.output)
    return figures


def fit_all(auditors: Sequence[Auditor], plan: Plan) -> dict[tuple[str, str], Threshold]:
    """Thresholds by (recogniser, pool)."""
    fits = {}
    for pool in sorted({pool_of(name) for name in plan.sets}):
        real = load_pool(plan.data_dir, pool)
        for auditor in auditors:
            fits[auditor.name, pool] = fit_threshold(auditor, pool, real)
            if isinstance(auditor, CachedAuditor):
                auditor.save()
            log.info("threshold of %s on %s: %s", auditor.name, pool, fits[auditor.name, pool].scores)
    return fits


def write(figures: dict[str, Any], output: Path) -> None:
    """figures.json and figures.md."""
    (output / "figures.json").write_text(json.dumps(figures, indent=1))
    (output / "figures.md").write_text(markdown(figures))


def _add_utility(
    figures: dict[str, Any], plan: Plan, outcomes: dict[str, list[Outcome]], detectors: list[Detector], product: Any,
    judges: Sequence[Reader], reader: FaceReader,
) -> None:  # fmt: skip
    features = load_features(plan.data_dir / FEATURES)
    parts = getattr(product, "parts", None)
    pooled = [o for found in outcomes.values() for o in found]
    for name, found in (outcomes | {ALL: pooled} if len(outcomes) > 1 else outcomes).items():
        rng = np.random.default_rng(plan.seed)
        figures["utility"][name] = utility_figures(found, reader, detectors, rng)
        done = [o for o in found if o.status == "anonymized" and o.picture is not None]
        real = [features(face_window(o.sample.picture, o.sample.points, 224)) for o in done]
        new = [features(face_window(o.picture, o.sample.points, 224)) for o in done if o.picture is not None]
        figures["utility"][name]["frechet_mobilenetv2"] = distance_with_floor(real, new, rng, features.name)
        if parts is not None:
            figures["utility"][name]["person"] = person_figures(found, parts.mesh, parts.extractor)
        for key, judge in zip(("person_independent", "person_second_opinion"), judges, strict=False):
            figures["utility"][name][key] = judged(found, judge)


def _groups(
    plan: Plan, outcomes: dict[str, list[Outcome]], auditors: Sequence[CachedAuditor],
    thresholds: dict[tuple[str, str], Threshold], detector: Detector, reader: FaceReader, judges: Sequence[Reader],
) -> list[dict[str, Any]]:  # fmt: skip
    """By the first recogniser that trained nothing here, of sets whose pictures are labelled."""
    auditor = next((a for a in auditors if not a.trained and a.name != "dlib"), None)
    if auditor is None:
        return []
    rows = []
    for name, found in outcomes.items():
        threshold = thresholds[auditor.name, pool_of(name)]
        by = group_figures(
            found, lambda part, t=threshold, n=name: Judge(auditor, t, n, part),  # type: ignore[misc]
            detector, reader, judges[0] if judges else None, plan.seed,
        )  # fmt: skip
        rows += [{"set": name, **row} for row in by]
    return rows


def _traits_judges(auditors: Sequence[CachedAuditor], data_dir: Path, cache: Path) -> list[Reader]:
    """The network of its own kind where it is there, then one on the first recogniser that trained nothing here."""
    judges: list[Reader] = [judge for judge in (PackagedJudge.load(data_dir, cache),) if judge is not None]
    independent = next((a for a in auditors if not a.trained and a.name != "dlib"), None)
    if independent is not None:
        ridge = TraitsJudge.fit(independent, data_dir)
        independent.save()
        judges += [] if ridge is None else [ridge]
    return judges


def _own_identities(plan: Plan, product: Any, samples: dict[str, list[Sample]]) -> dict[str, list[Outcome]]:
    """The control of the identity channel; empty without controls or for a product whose parts are not open."""
    parts = getattr(product, "parts", None)
    if parts is None or not plan.controls:
        return {}
    preset = PRESETS[plan.preset]
    return {
        name: [put_back(parts, sample, preset, plan.seed + i) for i, sample in enumerate(chosen[:PUT_BACK])]
        for name, chosen in samples.items()
    }


def _diversity(
    plan: Plan,
    product: Product,
    samples: dict[str, list[Sample]],
    auditors: Sequence[Auditor],
    options: AnonymizeOptions,
) -> list[dict[str, Any]]:
    if plan.seeds < 2:
        return []
    sample = next(iter(samples.values()))[0]
    results = [
        product.anonymize([sample.picture], replace(options, seed=plan.seed + 1 + k))[0] for k in range(plan.seeds)
    ]
    pictures = [r.picture for r in results if r.picture is not None and r.status == "anonymized"]
    return [diversity(a, pictures, sample.points) for a in auditors] if len(pictures) > 1 else []


def _threshold_row(auditor: str, t: Threshold) -> dict[str, Any]:
    scores = {f"{far:g}": value for far, value in t.scores.items()}
    return {"pool": t.pool, "auditor": auditor, "impostors": t.impostors, "mean": t.mean, "scores": scores}


def _state(outcome: Outcome) -> str:
    return outcome.status + (f" ({outcome.reason})" if outcome.reason else "")


def _tell(name: str, done: int, count: int) -> None:
    if done % 10 == 0 or done == count:
        log.info("%s: %d of %d", name, done, count)


def _write_grid(path: Path, outcomes: Sequence[Outcome], side: int = 128) -> None:
    cells = []
    for i, o in enumerate(outcomes[:GRID_CELLS]):
        before = face_window(o.sample.picture, o.sample.points, side)
        after = np.zeros_like(before) if o.picture is None else face_window(o.picture, o.sample.points, side)
        cells.append((f"{i} {_state(o)}", [before, after]))
    Image.fromarray(contact_sheet(cells, side=side)).save(path)
