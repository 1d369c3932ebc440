"""The stages of training. Each reads what those before it left in the output folder, and leaves networks there.

synth/ features/ features_real/            synthesize: renderings; what is measured on them and on real faces
attributes/ table/ table_real/             attributes: networks of the attribute vector, then one row a face
identity_encoder/ identity_vae/            identity
closed_form/ identity_traits/ surrogate/   prior
denoiser/ refiner/ groomer/ asked<round>/  recomposer, which also corrects surrogate/
train/<network>/                           state and losses.csv of each network
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..assets import our_weights
from ..assets.weights import WEIGHTS
from ..attributes.geometry import normalised_points
from ..attributes.networks import BlendshapeNetwork, PersonNetwork
from ..diffusion.closed_form import ConditionalMean
from ..errors import AssetMissingError
from ..identity.encoder import IdentityEncoder
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE
from .attributes import BlendshapeTask, ExpressionTask, PersonTask, person_figures
from .batches import measured_shards
from .children import LOOKED_AT, chances, face_numbers, label
from .corrections import picture_reader
from .export import export
from .features import count_features, measure_pictures, measure_set, read_features
from .glasses import spread_glasses
from .identity import EncoderTask, agreement
from .identity_vae import VaeTask, vae_figures
from .loop import seeded
from .recomposer_stage import run_recomposer
from .surrogate import SurrogateTask
from .synthesize import draw_codes, render_shards
from .table import HELD_OUT_EVERY, Table
from .tables import build_tables, held_out_mask, person_labels, placed_meshes, trait_labels
from .teachers import (
    blendshape_targets,
    bundled_expression,
    bundled_networks,
    bundled_witness,
    person_targets,
    resolve,
    resolve_expression,
)
from .trait_directions import trait_directions
from .witness import WitnessTask, evened, witness_figures
from .workshop import Figures, Workshop

GENERATED_WITH_GLASSES = 4000  # generated faces that help to tell glasses
FIGURE_ROWS = 2000  # held-out crops that a figure is measured on
MIN_FACES = 2 * HELD_OUT_EVERY


def run_synthesize(work: Workshop) -> Figures:
    """Render faces, measure real ones, then measure the renderings in the time that is left."""
    c, world = work.config.synthesize, work.world
    teacher = resolve(work.config.teachers.recogniser, work.data)
    generator = work.load_generator()
    seconds = work.seconds_for(c.render_share)
    if work.in_batches:
        reader = picture_reader(work, *bundled_networks())
        mean = generator.w_mean.float().cpu()
        shards = measured_shards(
            generator, reader, work.output / "features", lambda seeds: draw_codes(generator, mean, seeds), seconds, c.faces,
            c.shard, work.render_batch, world.rank, world.size,
        )  # fmt: skip
    else:
        shards = render_shards(
            generator, work.output / "synth", seconds, world.rank, world.size, None, c.shard, c.faces, work.render_batch
        )
    real = measure_set(
        work.output, work.data, teacher, work.seconds_for(c.real_share), c.workers, c.real_faces, world.rank, world.size,
        resolve_expression(work.config.teachers.expression, work.data),
    )  # fmt: skip
    if work.in_batches:
        faces = count_features(work.output / "features")
    else:
        faces = measure_pictures(work.output, teacher, work.remaining(), c.workers, world.rank, world.size)
    world.wait()
    if not faces:
        raise AssetMissingError("no generated face was rendered and measured within the budget; give more --minutes")
    return {"shards": shards, "generated_faces": faces, "real_faces": real}


def run_attributes(work: Workshop) -> Figures:
    """Blendshapes from meshes, person traits from labelled crops, then the tables."""
    c = work.config.attributes
    generated, real = read_features(work.output / "features"), read_features(work.output / "features_real")
    if len(generated["names"]) < MIN_FACES:
        count = len(generated["names"])
        raise AssetMissingError(
            f"{count} generated faces are too few; run: id2face train --stage synthesize --resume --minutes N"
        )
    held = held_out_mask(real["names"], work.data)
    if c.keep:
        networks, figures = bundled_networks(), Figures()
        for network, name in zip(networks, ("blendshapes", "person"), strict=True):
            work.save(network, f"attributes/{name}")
        work.save(bundled_expression(), "attributes/expression")
        work.save(bundled_witness(), "attributes/witness")
    else:
        networks, figures = _attribute_networks(work, generated, real, held)
    if work.world.main:
        rows, real_rows = build_tables(work.output, work.data, generated, real, *networks, work.device)
        figures |= {"table_rows": rows, "real_rows": real_rows}
        truth = person_labels(real["names"][held], work.data)
        figures["person_held_out"] = person_figures(networks[1].cpu(), real["crops"][held], placed_meshes(real)[held], truth)
    work.world.wait()
    return figures


def _attribute_networks(
    work: Workshop, generated: dict[str, np.ndarray], real: dict[str, np.ndarray], held: np.ndarray
) -> tuple[tuple[BlendshapeNetwork, PersonNetwork], Figures]:
    """Train and write the networks of the attribute vector."""
    c, teachers = work.config.attributes, work.config.teachers
    points, irises = (np.concatenate([generated[k], real[k]]) for k in ("points", "irises"))
    targets = blendshape_targets(points, irises, resolve(teachers.blendshapes, work.data))
    shapes = BlendshapeTask(points, irises, targets, work.device, work.config.seed)
    work.fit(shapes, c.blendshapes)
    work.save(shapes.model, "attributes/blendshapes")
    rows = _expression_rows(generated, real, held, shapes.model)
    expression = ExpressionTask(*rows, c.expression_width, work.device, work.config.seed)
    work.fit(expression, c.expression)
    work.save(expression.model, "attributes/expression")
    person = PersonTask(*_person_rows(work, generated, real, held), c.person_widths, work.device, work.config.seed)
    work.fit(person, c.person)
    work.save(person.model, "attributes/person")
    figures: Figures = {"blendshape_r2": shapes.r2(), "expression": expression.figures()}
    return (shapes.model, person.model), figures | {"witness_held_out": _witness(work, generated, real, held)}


def _witness(work: Workshop, generated: dict[str, np.ndarray], real: dict[str, np.ndarray], held: np.ndarray) -> Figures:
    """Train and write the witness, or the package's where there are no labels. Figures of faces that were held out."""
    c, labels = work.config.attributes, trait_labels(real["names"], work.data)
    known = np.isfinite(labels[:, :2]).all(axis=1)
    if work.config.teachers.person != "labels" or not (known & ~held).any():
        work.save(bundled_witness(), "attributes/witness")
        return {"N": 0}
    rows, out, placed = known & ~held, known & held, placed_meshes(real)
    here = placed_meshes(generated)
    some, guessed, child = _guessed(work, generated, here)
    guessed[:, 2] = np.nan  # of a descent nothing is known
    useful, even = np.isfinite(guessed[:, 0]), evened(labels[rows, 0])
    photograph = np.arange(rows.sum() + useful.sum()) < rows.sum()
    weights = chances(photograph, np.concatenate([np.zeros(rows.sum(), dtype=bool), child[useful]]))
    weights[photograph] *= even / even.mean()
    task = WitnessTask(
        np.concatenate([real["crops"][rows], generated["crops"][some][useful]]),
        np.concatenate([placed[rows], here[some][useful]]), np.concatenate([labels[rows], guessed[useful]]), weights,
        c.witness_widths, work.device, work.config.seed,
    )  # fmt: skip
    work.fit(task, c.witness)
    work.save(task.model, "attributes/witness")
    return dict(witness_figures(task.model, real["crops"][out], placed[out], labels[out]))


def _expression_rows(
    generated: dict[str, np.ndarray], real: dict[str, np.ndarray], held: np.ndarray, shapes: BlendshapeNetwork
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Meshes, closer readings of them, blendshapes, and which rows are held out.

    Real faces that the close teacher has seen; without it generated ones, with the blendshapes of their meshes.
    """
    if "shapes" in real:
        return real["points"], real["close"], real["shapes"], held
    if "close" not in generated:
        raise AssetMissingError("no face was measured closely; give --data, or --set attributes.keep=true")
    points, irises = generated["points"], generated["irises"]
    with torch.inference_mode():
        targets = shapes.cpu()(torch.from_numpy(normalised_points(points, irises))).numpy()
    return points, generated["close"], targets, np.arange(len(points)) % HELD_OUT_EVERY == 0


def _person_rows(
    work: Workshop, generated: dict[str, np.ndarray], real: dict[str, np.ndarray], held: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Crops, meshes in them, labels [N, 3] and chances [N] that the person network learns from."""
    here = placed_meshes(generated)
    if work.config.teachers.person != "labels":
        crops = np.concatenate([generated["crops"], real["crops"][~held]])
        placed = np.concatenate([here, placed_meshes(real)[~held]])
        return crops, placed, person_targets(crops, placed, work.config.teachers.person), np.ones(len(crops))
    photographs, labels = real["crops"][~held], person_labels(real["names"][~held], work.data)
    if not np.isfinite(labels).any():
        raise AssetMissingError("no labelled real faces; give --data, or --set teachers.person=bundled")
    some, guessed, child = _guessed(work, generated, here, GENERATED_WITH_GLASSES if work.config.attributes.glasses else 0)
    crops = np.concatenate([photographs, generated["crops"][some]])
    placed = np.concatenate([placed_meshes(real)[~held], here[some]])
    labels = np.concatenate([labels, guessed])
    if work.config.attributes.glasses:
        names = np.concatenate([real["names"][~held], generated["names"][some]])
        teacher = resolve(work.config.teachers.recogniser, work.data)
        labels[:, 2] = spread_glasses(crops, names, teacher, work.output / "attributes/glasses.npz", 0.15 * work.seconds)
    useful = np.isfinite(labels).any(axis=1)
    photograph = np.arange(len(crops)) < len(photographs)
    odds = chances(photograph[useful], np.concatenate([np.zeros(len(photographs), dtype=bool), child])[useful])
    return crops[useful], placed[useful], labels[useful], odds


def _guessed(
    work: Workshop, generated: dict[str, np.ndarray], placed: np.ndarray, more: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of generated faces: which ones were looked at or are among the first `more`, bool [N]; of those M `children.label`'s
    labels [M, 3], and which are children, bool [M]. placed: their meshes in their crops."""
    numbers = face_numbers(generated["names"], work.config.synthesize.shard)
    some = (numbers < LOOKED_AT) | (np.arange(len(numbers)) < more)
    return some, *label(numbers[some], person_targets(generated["crops"][some], placed[some], "bundled"))


def run_identity(work: Workshop) -> Figures:
    """The student encoder, with the teacher's feature maps where there are any, then the VAE."""
    c = work.config.identity
    generated = read_features(work.output / "features", bool(c.map_hint))
    real = read_features(work.output / "features_real", bool(c.map_hint))
    held = np.concatenate([np.arange(len(generated["names"])) % HELD_OUT_EVERY == 0, held_out_mask(real["names"], work.data)])
    crops = np.concatenate([generated["crops"], real["crops"]])
    dim = generated["embeddings"].shape[1]
    parts = [f["embeddings"] for f in (generated, real) if len(f["names"])]
    embeddings = np.concatenate(parts).astype(np.float32)
    chances = np.concatenate([np.ones(len(generated["names"])), np.full(len(real["names"]), c.real_weight)])
    with seeded(work.config.seed):
        encoder = IdentityEncoder(dim, c.encoder_widths, c.encoder_blocks)
    task = EncoderTask(
        encoder, crops[~held], embeddings[~held], chances[~held], _maps(generated, real, ~held), c, work.device, work.config.seed
    )
    work.fit(task, c.encoder)
    work.save(encoder, "identity_encoder")
    vectors, out = torch.from_numpy(embeddings), torch.from_numpy(held)
    vae = _vae(work, vectors[~out])
    work.save(vae, "identity_vae")
    is_real = np.arange(len(crops)) >= len(generated["names"])
    cosines = {
        f"encoder_cosine_{kind}": agreement(encoder, crops[held & chosen][:FIGURE_ROWS], embeddings[held & chosen][:FIGURE_ROWS])
        for kind, chosen in (("generated", ~is_real), ("real", is_real)) if (held & chosen).any()
    }  # fmt: skip
    return {"feature_maps": task.model.hint is not None, **cosines, **vae_figures(vae, vectors[~out], vectors[out])}


def _vae(work: Workshop, embeddings: Tensor) -> IdentityVAE:
    """Trained on embeddings [N, E], or the package's."""
    c = work.config.identity
    if c.keep_vae:
        kept: IdentityVAE = IdentityVAE.from_pretrained(our_weights("identity_vae"), torch_dtype=torch.float32).eval()
        return kept
    task = VaeTask(embeddings, c.latent_dim, c.vae_width, c.kl, work.device, work.config.seed)
    work.fit(task, c.vae)
    task.model.calibrate(embeddings)
    return task.model


def _maps(generated: dict[str, np.ndarray], real: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray | None:
    parts = [features for features in (generated, real) if len(features["names"])]
    if not all("maps" in features for features in parts):
        return None
    return np.concatenate([features["maps"] for features in parts])[chosen]


def _condition(vae: IdentityVAE, rows: Table) -> Tensor:
    return torch.cat((vae.encode(rows.embeddings), rows.attributes), dim=1)


def run_prior(work: Workshop) -> Figures:
    """Closed-form mean, traits of identities and the surrogate."""
    table, c = work.load_table(), work.config.prior
    train, test = table.split()
    vae = IdentityVAE.from_pretrained(work.output / "identity_vae").eval().requires_grad_(False)
    latent_dim = vae.config.latent_dim
    traits = IdentityTraits(latent_dim).fit(vae.encode(train.embeddings), train.attributes)
    traits.directions.copy_(trait_directions(vae, train, work.load_real()))
    work.save(traits, "identity_traits")
    mean = ConditionalMean(latent_dim + table.attributes.shape[1]).fit(_condition(vae, train), train.codes, c.ridge)
    work.save(mean, "closed_form")
    residual = test.codes - mean(mean.standardise(_condition(vae, test)))
    explained = 1 - residual.square().mean(dim=(0, 2)) / (test.codes - train.codes.mean(dim=0)).square().mean(dim=(0, 2))
    surrogate = SurrogateTask(table, c.surrogate_width, device=work.device, seed=work.config.seed)
    work.fit(surrogate, c.surrogate)
    figures = surrogate.finish()
    work.save(surrogate.model, "surrogate")
    work.world.wait()
    return {"explained_variance_by_group": explained.tolist(), **figures}


def run_export(work: Workshop) -> Figures:
    """All networks into the package (or --weights)."""
    if not work.world.main:
        return {}
    files = export(work.output, work.weights or WEIGHTS)
    return {"files": len(files), "bytes": sum(int(row["bytes"]) for row in files.values())}


RUN: dict[str, Callable[[Workshop], Figures]] = {
    "synthesize": run_synthesize, "attributes": run_attributes, "identity": run_identity, "prior": run_prior,
    "recomposer": run_recomposer, "export": run_export,
}  # fmt: skip
