"""The stages of training on the files of one folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..attributes.extractor import CROP, skin_colours
from ..attributes.geometry import gaze_offset, head_pose, normalised_points
from ..attributes.networks import BlendshapeNetwork, PersonNetwork
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.surrogate import StyleSurrogate
from ..errors import AssetMissingError
from ..faces.alignment import arcface_matrix, transform_points
from ..faces.types import Mesh
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE
from .attributes import train_blendshapes, train_person
from .export import export
from .features import measure_pictures, measure_set, read_features
from .identity import distill
from .identity_vae import train_vae, vae_figures
from .recomposer import RecomposerConfig, RecomposerTrainer, train_surrogate
from .splits import is_held_out
from .synthesize import render_shards
from .table import Table

Figures = dict[str, object]


@dataclass
class Workshop:
    """Folders of one training run. output: everything that is made; data: real faces and teachers, or None."""

    output: Path
    data: Path | None
    weights: Path | None = None

    @property
    def table(self) -> Path:
        return self.output / "table.npz"

    def teacher(self, *parts: str) -> Path:
        """A teacher network below data/weights. Raises AssetMissingError."""
        path = (self.data or Path("?")) / "weights" / Path(*parts)
        if not path.is_file():
            name = "/".join(parts)
            raise AssetMissingError(f"the teacher {name} is needed; give --data DIR that holds weights/{name}")
        return path


def run_synthesize(work: Workshop, seconds: float) -> Figures:
    """Render faces for two thirds of the time, then measure meshes, crops and embeddings."""
    from ..generator.loader import load_generator

    shards = render_shards(load_generator(), work.output / "synth", 0.6 * seconds)
    faces = measure_pictures(work.output, work.teacher("recognition", "mobilefacenet_ms1m_foamliu.onnx"))
    real = measure_set(work.output, work.data, work.teacher("recognition", "mobilefacenet_ms1m_foamliu.onnx"))
    return {"shards": shards, "generated faces": faces, "real faces": real}


def run_attributes(work: Workshop, seconds: float) -> Figures:
    """Blendshapes from meshes, person traits from labelled crops, then the table."""
    from .features import blendshape_targets

    generated, real = read_features(work.output / "features"), read_features(work.output / "features_real")
    points = np.concatenate([generated["points"], real["points"]])
    irises = np.concatenate([generated["irises"], real["irises"]])
    targets = blendshape_targets(points, irises, work.teacher("landmarks", "face_blendshapes.tflite"))
    shapes, r2 = train_blendshapes(points, irises, targets, 0.2 * seconds)
    shapes.save_pretrained(work.output / "attributes/blendshapes")
    labels = np.array([_label(name, work.data) for name in real["names"]], dtype=np.float32)
    held = held_out_mask(real["names"], work.data)
    person = train_person(real["crops"][~held], labels[~held], np.ones(int((~held).sum())), 0.7 * seconds)
    person.save_pretrained(work.output / "attributes/person")
    return {"blendshape R2": r2, "rows": build_table(work, shapes, person, generated)}


def _label(name: str, data: Path | None) -> tuple[float, float, float]:
    """(age, 1 = male, glasses unknown) of a UTKFace row, NaN where there is none."""
    rows = _labels(data)
    return rows.get(name, (np.nan, np.nan, np.nan))


def held_out_mask(names: np.ndarray, data: Path | None) -> np.ndarray:
    """Which real faces belong to the held-out tenth of *persons* (groups), as the evaluation holds them out. bool [N]."""
    groups: dict[str, str] = {}
    if data is not None:
        with (data / "faces/utkface_adult.csv").open(newline="") as file:
            groups = {r["file"]: r["group_foamliu"] for r in csv.DictReader(file)}
    return np.array([is_held_out(groups.get(str(name), "") or str(name)) for name in names], dtype=bool)


_LABELS: dict[Path, dict[str, tuple[float, float, float]]] = {}


def _labels(data: Path | None) -> dict[str, tuple[float, float, float]]:
    if data is None:
        return {}
    if data not in _LABELS:
        with (data / "faces/utkface_adult.csv").open(newline="") as file:
            _LABELS[data] = {r["file"]: (float(r["age"]), 1 - float(r["gender"]), np.nan) for r in csv.DictReader(file)}
    return _LABELS[data]


@torch.inference_mode()
def build_table(work: Workshop, shapes: BlendshapeNetwork, person: PersonNetwork, faces: dict[str, np.ndarray]) -> int:
    """Attributes of all generated faces, shuffled once by a fixed seed. Returns the rows."""
    canonical = shapes.canonical.double().numpy()
    rows = []
    for points, iris, crop in zip(faces["points"], faces["irises"], faces["crops"], strict=True):
        mesh = Mesh(points, iris, 1.0)
        five = np.concatenate([iris[:, 0], points[[1, 61, 291], :2]])
        tensor = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
        rows.append(np.concatenate([
            head_pose(points.astype(np.float64), canonical)[:2], gaze_offset(mesh),
            shapes(torch.from_numpy(normalised_points(points, iris))[None])[0].numpy(), person(tensor)[0].numpy(),
            skin_colours(crop, transform_points(points[:, :2], arcface_matrix(five, CROP))),
        ]).astype(np.float32))  # fmt: skip
    order = np.random.default_rng(0).permutation(len(rows))
    np.savez(work.table, codes=faces["codes"][order], embeddings=faces["embeddings"][order], attributes=np.stack(rows)[order])
    return len(rows)


def run_identity(work: Workshop, seconds: float) -> Figures:
    """The student encoder, then the VAE."""
    generated, real = read_features(work.output / "features"), read_features(work.output / "features_real")
    held = np.concatenate([np.arange(len(generated["crops"])) % 20 == 0, held_out_mask(real["names"], work.data)])
    crops = np.concatenate([generated["crops"], real["crops"]])
    embeddings = np.concatenate([generated["embeddings"], real["embeddings"]]).astype(np.float32)
    weights = np.concatenate([np.ones(len(generated["crops"])), np.full(len(real["crops"]), 3.0)])
    distill(crops[~held], embeddings[~held], weights[~held], 0.8 * seconds).save_pretrained(work.output / "identity_encoder")
    vectors = torch.from_numpy(embeddings)
    vae = train_vae(vectors[torch.from_numpy(~held)], 0.2 * seconds)
    vae.save_pretrained(work.output / "identity_vae")
    return dict(vae_figures(vae, vectors[torch.from_numpy(~held)], vectors[torch.from_numpy(held)]))


def _condition(vae: IdentityVAE, rows: Table) -> Tensor:
    return torch.cat((vae.encode(rows.embeddings), rows.attributes), dim=1)


def run_prior(work: Workshop, seconds: float) -> Figures:
    """Closed-form mean, traits of identities and the surrogate."""
    table = Table.load(work.table)
    train, test = table.split()
    vae = IdentityVAE.from_pretrained(work.output / "identity_vae").eval().requires_grad_(False)
    traits = IdentityTraits(vae.config.latent_dim).fit(vae.encode(train.embeddings), train.attributes)
    traits.save_pretrained(work.output / "identity_traits")
    mean = ConditionalMean(vae.config.latent_dim + table.attributes.shape[1]).fit(_condition(vae, train), train.codes)
    mean.save_pretrained(work.output / "closed_form")
    residual = test.codes - mean(mean.standardise(_condition(vae, test)))
    surrogate, figures = train_surrogate(table, seconds)
    surrogate.save_pretrained(work.output / "surrogate")
    explained = 1 - residual.var(dim=(0, 2)) / test.codes.var(dim=(0, 2))
    return {"explained variance by group": explained.tolist(), **figures}


def run_recomposer(work: Workshop, seconds: float) -> Figures:
    """The denoiser."""
    vae = IdentityVAE.from_pretrained(work.output / "identity_vae").eval().requires_grad_(False)
    mean = ConditionalMean.from_pretrained(work.output / "closed_form").eval().requires_grad_(False)
    surrogate = StyleSurrogate.from_pretrained(work.output / "surrogate").eval().requires_grad_(False)
    trainer = RecomposerTrainer(Table.load(work.table), mean, surrogate, vae, RecomposerConfig())
    average = trainer.fit(StyleDenoiser(), work.output / "denoiser_train", seconds / 60)
    average.save_pretrained(work.output / "denoiser")
    return {"steps logged in": work.output / "denoiser_train/losses.csv"}


def run_export(work: Workshop, seconds: float) -> Figures:
    """All networks into the package (or --weights)."""
    files = export(work.output) if work.weights is None else export(work.output, work.weights)
    return {"files": len(files), "bytes": sum(row["bytes"] for row in files.values())}


RUN: dict[str, Callable[[Workshop, float], Figures]] = {
    "synthesize": run_synthesize, "attributes": run_attributes, "identity": run_identity, "prior": run_prior,
    "recomposer": run_recomposer, "export": run_export,
}  # fmt: skip
