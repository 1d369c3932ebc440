"""`Save Identity`, `Load Identity`, `Blend Identity`: new identities only."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from id2face_core.errors import AssetMissingError, ConfigError, ShapeError

from .folders import IDENTITIES, file_stamp, identity_files, identity_folder, key_files, read_key
from .identity_store import read_identity, write_identity
from .options import key_input
from .types import Identities, Identity, IdentityType, Rejected, guarded


def picked(identities: Identities, frame: int, face: int) -> Identity:
    """One identity of a batch. Raises ShapeError when there is none at that place."""
    if identities.everyone is not None:
        return identities.everyone
    if frame >= len(identities.frames) or face >= len(identities.frames[frame]):
        raise ShapeError(f"there is no face {face} in frame {frame}: {identities!r}")
    identity = identities.frames[frame][face]
    if isinstance(identity, Rejected):
        raise ShapeError(f"face {face} of frame {frame} has no new identity ({identity.reason})")
    return identity


def blend_pair(a: Identity, b: Identity, ratio: float) -> Identity:
    """Between a (0) and b (1), with a length between theirs. Raises ConfigError for keyed ones, which hold the source."""
    if a.keyed or b.keyed:
        raise ConfigError("a keyed identity is the original's in disguise and is not blended; blend sampled ones")
    if a.latents.shape[1] != b.latents.shape[1]:
        raise ConfigError(f"identities of {a.latents.shape[1]} and {b.latents.shape[1]} numbers are of different models")
    count = max(len(a.latents), len(b.latents))
    if {len(a.latents), len(b.latents)} - {1, count}:
        raise ConfigError(f"{len(a.latents)} and {len(b.latents)} candidates make no pairs; sample as many of both")
    mixed = a.latents.lerp(b.latents, ratio)
    length = a.latents.norm(dim=1, keepdim=True).lerp(b.latents.norm(dim=1, keepdim=True), ratio)
    return Identity(mixed * (length / mixed.norm(dim=1, keepdim=True).clamp_min(1e-6)), a.state, a.kept)


def blend(a: Identities, b: Identities, ratio: float) -> Identities:
    """Face by face; one for all goes with each."""
    if a.everyone is not None and b.everyone is not None:
        return Identities([], "", blend_pair(a.everyone, b.everyone, ratio))
    if a.everyone is None and b.everyone is None and a.origin != b.origin:
        raise ShapeError(f"identity_a ({a!r}) and identity_b ({b!r}) belong to different faces; use the same detection")
    shape = b if a.everyone is not None else a
    rows = [
        [
            guarded(lambda x, y: blend_pair(x, y, ratio), a.everyone or a.frames[i][j], b.everyone or b.frames[i][j])
            for j in range(len(frame))
        ]
        for i, frame in enumerate(shape.frames)
    ]
    return Identities(rows, shape.origin)


class SaveIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceSaveIdentity", display_name="Save Identity", category="ID²Face/identity",
            description="Saves a new identity (never the original's) to models/id2face_identities. Keyed ones only sealed.",
            search_aliases=["save face model", "face file"],
            is_output_node=True,
            inputs=[
                IdentityType.Input("identity", tooltip="From Harmonized Diffusion: who was rendered."),
                io.String.Input("name", default="identity", tooltip="File name. Put no name of a person in it."),
                io.Int.Input("frame", default=0, min=0, max=100000, tooltip="Of which frame."),
                io.Int.Input("face", default=0, min=0, max=1000, tooltip="Of which face in it."),
                key_input(key_files(), "Seal the file with this key; without it nobody can load it."),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Name of the file.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, identity: Identities, name: str, frame: int, face: int, key_file: str) -> io.NodeOutput:
        one, key = picked(identity, frame, face), read_key(key_file)
        if one.keyed and key is None:
            raise ConfigError("a keyed identity leads back to the original; choose a key_file to seal it with")
        if len(one.latents) > 1:
            raise ConfigError(f"these are {len(one.latents)} candidates; connect the identity that Harmonized Diffusion puts out")
        return io.NodeOutput(write_identity(identity_folder(), name, one.latents[0], key).name)


class LoadIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceLoadIdentity", display_name="Load Identity", category="ID²Face/identity",
            description="One saved identity for every face.",
            search_aliases=["load face model", "face file", "same face"],
            inputs=[
                io.Combo.Input("file", options=identity_files(), tooltip="From models/id2face_identities; key R refreshes."),
                key_input(key_files(), "The key that a sealed file was saved with."),
            ],
            outputs=[IdentityType.Output(display_name="identity", tooltip="For Orthogonal Mapping or Harmonized Diffusion.")],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        return file_stamp(IDENTITIES, file)

    @classmethod
    def execute(cls, file: str, key_file: str) -> io.NodeOutput:
        path = folder_paths.get_full_path(IDENTITIES, file) if file in identity_files() else None
        if path is None:
            raise AssetMissingError(f"{file} is not in models/{IDENTITIES}; save one with Save Identity, then press R")
        latent, sealed = read_identity(Path(path), read_key(key_file))
        return io.NodeOutput(Identities([], "", Identity(latent[None], None, keyed=sealed)))


class BlendIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceBlendIdentity", display_name="Blend Identity", category="ID²Face/identity",
            description="A new identity between two new ones.",
            search_aliases=["mix faces", "face blend", "average face"],
            inputs=[
                IdentityType.Input("identity_a", tooltip="At ratio 0."),
                IdentityType.Input("identity_b", tooltip="At ratio 1."),
                io.Float.Input("ratio", default=0.5, min=0.0, max=1.0, step=0.05, tooltip="Share of identity_b."),
            ],
            outputs=[IdentityType.Output(display_name="identity", tooltip="The blend.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, identity_a: Identities, identity_b: Identities, ratio: float) -> io.NodeOutput:
        return io.NodeOutput(blend(identity_a, identity_b, ratio))
