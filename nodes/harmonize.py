"""`Harmonized Diffusion`: identity and attributes become a new face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from comfy_api.latest import io
from PIL import Image, ImageDraw, ImageFont

from id2face_core.options import PRESETS

from .identity import FACES_TOOLTIP, MODEL_TOOLTIP
from .model import SharedModel, model_or_default
from .pictures import to_image
from .session import Progress, stop_if_interrupted
from .types import (
    AttributesType,
    AttributeVectors,
    Faces,
    FacesType,
    Identities,
    Identity,
    IdentityType,
    ModelType,
    NewFaces,
    NewFacesType,
    Recomposed,
    Rejected,
    guarded,
)  # fmt: skip

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from id2face_core.components import Components
    from id2face_core.generator.window import Window
    from id2face_core.reading import Reading, SourceFace
    from id2face_core.stages import Candidates, NewFace

EXTENTS = ("face", "head")
SCHEDULERS = ("dpmpp_2m", "ddim")
PRESET = PRESETS["balanced"]
CELL = 64  # pixels of a cell of the gate map
NO_FACE = np.zeros((CELL, CELL, 3), np.uint8)
ATTRIBUTE_COLOUR, IDENTITY_COLOUR = np.array([40, 90, 160.0]), np.array([235, 150, 50.0])


def face_generator(identity: Identity) -> torch.Generator:
    """The face's generator where sampling left it; for an identity from a file, one of its own."""
    import torch

    from id2face_core.identity.pseudonym import generator_for

    if identity.state is None:
        return generator_for(b"file", identity.latents.numpy().tobytes())
    generator = torch.Generator()
    generator.set_state(identity.state)
    return generator


def recompose_all(
    model: SharedModel, faces: Faces, identities: Identities, attributes: AttributeVectors | None, *, steps: int,
    scheduler: str, extent: str, guidance: float, step_previews: bool, attempts: int,
) -> NewFaces:  # fmt: skip
    """One pass of conditional diffusion for each face. Progress counts steps; previews show new faces only."""
    import torch

    from id2face_core.components import FULL_WINDOW
    from id2face_core.stages import draw_candidates, unfinished, wished_cover

    parts, progress = model.ready(), Progress(steps * sum(map(len, faces.frames)))
    choices: dict[str, int] = {}  # which candidate a person became in his first picture

    def one(source: SourceFace, identity: Identity, wish: Tensor | None) -> Recomposed:
        wanted = source.attributes if wish is None else wish
        values = wanted[None]
        latents = identity.latents if len(identity.latents) > 1 else identity.latents.expand(PRESET.candidates, -1)
        if identity.kept is not None:  # traits that are free are those of the new identity
            values = parts.traits.release(latents, wanted, identity.kept)

        def after_step(step: int, residual: Tensor) -> None:
            stop_if_interrupted()  # before a preview, which takes longer than the step
            shown = unfinished(parts, latents[0], values[0], residual[:1]) if step_previews else None
            progress.step(preview=shown)

        generator = face_generator(identity)
        candidates = draw_candidates(
            parts, latents, values, generator, forbidden=source.embedding, margin=PRESET.limit, steps=steps,
            scheduler=scheduler, guidance=guidance, cover=wished_cover(source, wanted, extent == EXTENTS[1]), callback=after_step,
        ).first(choices.get(identity.person or ""))  # fmt: skip
        grain_seed = int(torch.randint(2**31, (1,), generator=generator))
        window = FULL_WINDOW if extent == EXTENTS[1] else None
        new, choice = best_rendering(parts, candidates, source, identity, wanted, attempts, window)
        if identity.person is not None:
            choices.setdefault(identity.person, choice)
        progress.step(0, new.rendering)
        return Recomposed(new, grain_seed, identity)

    rows = []
    for i, frame in enumerate(faces.frames):
        row = []
        for j, found in enumerate(frame):
            stop_if_interrupted()
            source = found.source or Rejected(found.reason or found.status)
            identity = identities.everyone or identities.frames[i][j]
            row.append(guarded(one, source, identity, attributes.frames[i][j] if attributes is not None else None))
        rows.append(row)
    return NewFaces(rows, faces.origin, model)


def best_rendering(
    parts: Components, candidates: Candidates, source: SourceFace, identity: Identity, wanted: Tensor, attempts: int,
    window: Window | None,
) -> tuple[NewFace, int]:  # fmt: skip
    """The first rendering with nothing wrong, else the best of `attempts`, and which candidate it is.

    Raises:
        FaceRejectedError: none may leave.
    """
    from id2face_core.faults import fault, least_faulty
    from id2face_core.reading import read_rendering
    from id2face_core.stages import render_candidate, wished_expression

    wish = wished_expression(source, wanted)

    def attempt(one: Candidates) -> tuple[float, Reading, NewFace]:
        stop_if_interrupted()
        new = replace(render_candidate(parts, one, window=window), wish=wish)
        reading = read_rendering(parts, new)
        return fault(parts, source, wanted, reading, limit=PRESET.limit, kept=identity.kept), reading, new

    return least_faulty(parts, candidates, attempt, attempts)


def chosen(new: NewFaces) -> Identities:
    """Who was rendered, of the candidates: one identity a face, without which Save Identity would not know."""


    def one(made: Recomposed) -> Identity:
        return replace(made.identity, latents=made.new.latent[None])

    return Identities([[guarded(one, made) for made in frame] for frame in new.frames], new.origin)


def gate_map(gates: np.ndarray) -> np.ndarray:
    """Gates [depth, groups] of the harmonizer, 0 attributes to 1 identity -> picture: a row a block, a column a group."""
    cells = gates[..., None] * IDENTITY_COLOUR + (1 - gates[..., None]) * ATTRIBUTE_COLOUR
    image = Image.fromarray(np.kron(cells.round().astype(np.uint8), np.ones((CELL, CELL, 1), np.uint8)))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for y, row in enumerate(gates):
        for x, gate in enumerate(row):
            draw.text((x * CELL + 14, y * CELL + 22), f"{gate:.2f}", fill=(255, 255, 255), font=font)
    return np.asarray(image)


def pictures_of(faces: NewFaces, draw: Callable[[Recomposed], np.ndarray | None]) -> list[np.ndarray]:
    """A picture of each new face, or a black one when there is none."""
    made = [draw(f) for frame in faces.frames for f in frame if isinstance(f, Recomposed)]
    return [picture for picture in made if picture is not None] or [NO_FACE]


def gates_of(face: Recomposed) -> np.ndarray | None:
    """The gate map of a face; None when the model has no harmonizer."""
    return None if face.new.gates is None else gate_map(face.new.gates.float().cpu().numpy())


class HarmonizedDiffusion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceHarmonizedDiffusion", display_name="Harmonized Diffusion", category="ID²Face/steps",
            description="Recomposes identity and attributes into a new face: one pass of diffusion whose gates decide, part by "
            "part, which of the two leads.",
            search_aliases=["recompose face", "face generation", "render face", "diffusion"],
            inputs=[
                FacesType.Input("faces", tooltip=FACES_TOOLTIP),
                IdentityType.Input("identity", tooltip="From Sample, Load, Blend or Orthogonal Identity Mapping."),
                AttributesType.Input("attributes", optional=True, tooltip="From Extract or Edit Attributes (else the source's)."),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
                io.Int.Input(
                    "steps", default=PRESET.steps, min=1, max=100, tooltip="Network calls a face; more than 4 change little."
                ),
                io.Combo.Input("scheduler", options=list(SCHEDULERS), default=SCHEDULERS[0], tooltip="How noise is taken off."),
                io.Combo.Input(
                    "extent", options=list(EXTENTS), default=EXTENTS[0],
                    tooltip="How much is rendered; region head of Paste Faces Back wants head.",
                ),
                io.Float.Input(
                    "guidance", default=PRESET.guidance, min=0.0, max=5.0, step=0.1, advanced=True,
                    tooltip="How much the new face stands out from an average one of its kind: "
                    "more makes two draws more different; 1 is off.",
                ),
                io.Boolean.Input(
                    "step_previews", default=False, advanced=True,
                    tooltip="Show the new face after every step. Costs one rendering a step.",
                ),
                io.Int.Input(
                    "attempts", default=PRESET.attempts, min=1, max=16, advanced=True,
                    tooltip="Renderings at most, each asked for what the last one missed, until pose, expression, age and "
                    "sex agree and it is not like the original.",
                ),
            ],
            outputs=[
                NewFacesType.Output(display_name="new_faces", tooltip="For Paste Faces Back."),
                io.Image.Output(display_name="renderings", tooltip="The new faces alone: nobody's."),
                io.Image.Output(display_name="gates", tooltip="Where identity leads (orange) and where attributes do (blue)."),
                IdentityType.Output(display_name="identity", tooltip="Who was rendered, of the candidates: for Save Identity."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, faces: Faces, identity: Identities, steps: int, scheduler: str, extent: str, guidance: float,
        step_previews: bool, attempts: int, attributes: AttributeVectors | None = None, model: SharedModel | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        if identity.everyone is None:
            faces.check("identity", identity)
        if attributes is not None:
            faces.check("attributes", attributes)
        new = recompose_all(
            model_or_default(model), faces, identity, attributes, steps=steps, scheduler=scheduler, extent=extent,
            guidance=guidance, step_previews=step_previews, attempts=attempts,
        )  # fmt: skip
        renderings = pictures_of(new, lambda face: face.new.rendering)
        return io.NodeOutput(new, to_image(renderings), to_image(pictures_of(new, gates_of)), chosen(new))
