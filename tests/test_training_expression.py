"""How the expression network learns, and the way back from its blendshapes to a mesh."""

from __future__ import annotations

import numpy as np
import torch

from id2face_core.attributes.geometry import close_points
from id2face_core.attributes.vector import MIRRORED
from id2face_core.faces.attention import EYES
from id2face_core.training.attributes import ExpressionTask, expression_basis
from id2face_core.training.teachers import bundled_expression, bundled_networks, resolve_expression


def turned(angle: float) -> torch.Tensor:
    """Rotation about the vertical axis."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=torch.float64)


def test_the_basis_is_found_again_whatever_the_pose_place_and_size() -> None:
    rng = torch.Generator().manual_seed(0)
    canonical = bundled_networks()[0].canonical.double()
    basis = 0.05 * torch.randn(52, 468, 3, generator=rng, dtype=torch.float64)
    basis -= basis.mean(dim=1, keepdim=True)
    shapes = 0.3 * torch.rand(600, 52, generator=rng)
    shapes[:, 5] *= 1e-4  # hardly varies: nothing can be said about it
    meshes = canonical + torch.einsum("nk,kpd->npd", shapes.double(), basis)
    yaws = torch.linspace(-0.4, 0.4, 600).tolist()
    points = torch.stack([(40 + i % 50) * mesh @ turned(yaws[i]).T + i for i, mesh in enumerate(meshes)])
    found = expression_basis(points.numpy(), shapes, canonical).double()
    known = torch.arange(52) != 5
    similar = torch.nn.functional.cosine_similarity(found[known].flatten(1), basis[known].flatten(1))
    assert float(similar.min()) > 0.8 and float(found[5].abs().max()) < 0.01 * float(found[known].abs().max())


def test_what_only_the_closer_points_show_is_learnt_and_mirrored() -> None:
    rng = np.random.default_rng(0)
    n = 200
    shut = rng.random(n) < 0.5
    targets = np.zeros((n, 52), np.float32)
    targets[:, 9] = shut
    points, close = rng.normal(size=(n, 468, 3)), rng.normal(size=(478, 2)) + 0.1 * rng.normal(size=(n, 3, 478, 2))
    close[:, :, [33, 362]], close[:, :, [133, 263]] = (-1, 0), (1, 0)
    lids = np.where(shut, 0.0, 3.0)[:, None, None]
    close[:, :2, EYES[0, 1:8], 1], close[:, 2:, EYES[1, 1:8], 1] = lids, lids
    task = ExpressionTask(points, close, targets, np.arange(n) % 4 == 0, 16)
    optimizer, draw = torch.optim.AdamW(task.model.parameters(), lr=5e-3), torch.Generator().manual_seed(0)
    for _ in range(80):
        optimizer.zero_grad()
        sum(task.losses(64, draw).values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert task.figures()["r2"] > 0.5
    with torch.no_grad():
        mirrored = task.model(torch.from_numpy(close_points(close[:, 2])))
    right = mirrored[:, MIRRORED[9]].numpy()
    assert right[shut].mean() - right[~shut].mean() > 0.5, "the other eye of a mirrored face"


def test_the_bundled_way_back_opens_a_mouth_and_knows_left_from_right() -> None:
    from id2face_core.attributes.vector import BLENDSHAPES

    basis = bundled_expression().basis
    opened = basis[BLENDSHAPES.index("jawOpen")]
    assert float(opened[14, 1] - opened[13, 1]) > 0.05, "the lower lip goes down"
    smile = basis[BLENDSHAPES.index("mouthSmileLeft")] + basis[BLENDSHAPES.index("mouthSmileRight")]
    assert float(smile[61, 1]) < 0 and float(smile[291, 1]) < 0, "corners go up"
    assert float(smile[291, 0] - smile[61, 0]) > 0, "and apart"


def test_without_the_close_teacher_the_package_stands_in() -> None:
    assert resolve_expression("bundled", None) is None
