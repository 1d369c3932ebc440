"""Folders of models, output and temporary files."""

from __future__ import annotations

import os
import tempfile

base_path = tempfile.mkdtemp(prefix="comfy-stub-")
models_dir = os.path.join(base_path, "models")
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}


def add_model_folder_path(name: str, path: str, is_default: bool = False) -> None:
    paths = folder_names_and_paths.setdefault(name, ([], set()))[0]
    if path not in paths:
        paths.insert(0 if is_default else len(paths), path)


def get_folder_paths(name: str) -> list[str]:
    return list(folder_names_and_paths[name][0])


def get_filename_list(name: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(where, file), root)
        for root in folder_names_and_paths[name][0] for where, _, files in os.walk(root) for file in files
    )  # fmt: skip


def get_full_path(name: str, file: str) -> str | None:
    for root in folder_names_and_paths[name][0]:
        path = os.path.join(root, os.path.relpath(os.path.join("/", file), "/"))
        if os.path.isfile(path):
            return path
    return None


def get_output_directory() -> str:
    return os.path.join(base_path, "output")


def get_temp_directory() -> str:
    return os.path.join(base_path, "temp")


def get_save_image_path(prefix: str, root: str, width: int = 0, height: int = 0) -> tuple[str, str, int, str, str]:
    folder, name = os.path.split(os.path.normpath(prefix))
    where = os.path.realpath(os.path.join(root, folder))
    if os.path.commonpath((where, os.path.realpath(root))) != os.path.realpath(root):
        raise Exception("Saving image outside the output folder is not allowed.")
    os.makedirs(where, exist_ok=True)
    return where, name, 1 + len([f for f in os.listdir(where) if f.startswith(f"{name}_")]), folder, prefix
