"""Widgets that several nodes share, and their values as the core wants them."""

from __future__ import annotations

from typing import Literal

from comfy_api.latest import io

from id2face_core.errors import ConfigError

MAX_SEED = 2**64 - 1
TRAITS = ("age", "sex", "skin")


def seed_input() -> io.Int.Input:
    """A seed with ComfyUI's control after each run."""
    return io.Int.Input(
        "seed", default=0, min=0, max=MAX_SEED, control_after_generate=True,
        tooltip="Same seed and picture, same new faces. It is stored in workflows and is no secret: for secret, stable "
        "pseudonyms use a key file.",
    )  # fmt: skip


def policy_input() -> io.Combo.Input:
    """What happens to a face that cannot be replaced."""
    return io.Combo.Input(
        "policy", options=["fill", "blur", "withhold"], default="fill",
        tooltip="For a face that cannot be replaced: fill it, blur it beyond recognition, or black out its whole frame. "
        "The original face never comes out.",
    )  # fmt: skip


def key_input(key_files: list[str], tooltip: str) -> io.Combo.Input:
    """A key by the name of its file; the key itself is never in a graph."""
    return io.Combo.Input("key_file", options=key_files, default=key_files[0], tooltip=tooltip)


def keep_inputs() -> list[io.Boolean.Input]:
    """Which traits of the person the new one has."""
    what = {"age": "about as old", "sex": "of the same sex", "skin": "of a like skin tone and descent"}
    return [
        io.Boolean.Input(
            f"keep_{trait}", default=True, advanced=True,
            tooltip=f"The new person is {words}. Every trait that is kept narrows the crowd that one hides in.",
        )
        for trait, words in what.items()
    ]  # fmt: skip


def kept(**wishes: bool) -> tuple[str, ...]:
    """keep_age=True, ... -> the names that are kept."""
    return tuple(name.removeprefix("keep_") for name, wish in wishes.items() if wish)


def parse_positions(text: str, name: str) -> tuple[int, ...] | None:
    """"all" -> None, "" -> (), "0, 2" -> (0, 2). Raises ConfigError."""
    text = text.strip()
    if text == "all":
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"{name} is {text!r}; give all, or numbers such as 0,2")
    return tuple(int(part) for part in parts)


def parse_faces(text: str) -> Literal["all", "largest"] | tuple[int, ...]:
    """The widget `faces`: all, largest, or numbers. Raises ConfigError."""
    if text.strip() == "largest":
        return "largest"
    positions = parse_positions(text, "faces")
    if positions == ():
        raise ConfigError("faces is empty; give all, largest, or numbers such as 0,2")
    return "all" if positions is None else positions


def parse_changes(text: str) -> dict[str, float | str]:
    """Lines or commas of `name=value` -> changes for `edit_attributes`. Raises ConfigError."""
    changes: dict[str, float | str] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        name, equals, value = (p.strip() for p in part.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{part.strip()!r} is not understood; write one name=value a line, for instance age=+10")
        signed = value.startswith(("+", "-"))
        try:
            changes[name] = value if signed else float(value)
        except ValueError:
            changes[name] = value
    return changes
