"""Small networks of ours that read expression, age, sex and glasses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from ..faces.landmarks import OVAL
from .geometry import CLOSE_INPUTS

AGES = 101  # years of age, 0 to 100
DESCENTS = ("White", "Black", "Asian", "Indian")  # UTKFace's words for its numbers; its fifth, "others", is no group


class _PointsNetwork(ModelMixin, ConfigMixin):
    """Normalised points [B, N] -> values in 0..1 [B, M]: a linear part, which carries most of it, and what bends it."""

    centre: Tensor
    spread: Tensor

    def raw(self, points: Tensor) -> Tensor:
        """Without the limits, for training."""
        x = (points - self.centre) / self.spread
        return self.linear(x) + self.layers(x)

    def forward(self, points: Tensor) -> Tensor:
        return self.raw(points).clamp(0, 1)


class BlendshapeNetwork(_PointsNetwork):
    """Normalised mesh points [B, 292] -> 52 blendshapes [B, 52] in 0..1. Also holds the canonical mesh [468, 3]."""

    @register_to_config
    def __init__(self, inputs: int = 292, outputs: int = 52, width: int = 256) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.register_buffer("canonical", torch.zeros(468, 3))
        self.linear = nn.Linear(inputs, outputs)  # carries most of it; a sigmoid would starve the rare shapes
        outlet = nn.Linear(width, outputs)
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), outlet)
        nn.init.zeros_(outlet.weight)
        nn.init.zeros_(outlet.bias)


class _Stage(nn.Module):
    """Halve the picture, then one inverted residual (MobileNetV2, arXiv 1801.04381)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(cin, cout, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(cout, cout, 3, padding=1, groups=cout, bias=False), nn.BatchNorm2d(cout), nn.Conv2d(cout, 2 * cout, 1),
            nn.ReLU(), nn.Conv2d(2 * cout, cout, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.residual(x)


class ExpressionNetwork(_PointsNetwork):
    """A closer look: points of the attention mesh [B, N], see `geometry.close_points`, -> 52 blendshapes.

    Also holds the way back, `basis` [52, 468, 3]: how the points of a mesh without pose, of size 1, move on average with each
    blendshape.
    """

    @register_to_config
    def __init__(self, inputs: int = CLOSE_INPUTS, outputs: int = 52, width: int = 384, dropout: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.register_buffer("basis", torch.zeros(outputs, 468, 3))
        self.linear = nn.Linear(inputs, outputs)
        outlet = nn.Linear(width, outputs)
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout),
            outlet,
        )  # fmt: skip
        nn.init.zeros_(outlet.weight)
        nn.init.zeros_(outlet.bias)


class PersonNetwork(ModelMixin, ConfigMixin):
    """Aligned crops and the mesh in them -> age (years), sex (0 female .. 1 male), glasses (0..1).

    It sees the inner face only, what lies in the mesh's oval: hair and surroundings stay the source's in a picture, so whatever
    they tell of an age says nothing about the new face. Without `reads_glasses` the third output is always 0: it had no labels.
    """

    @register_to_config
    def __init__(
        self, widths: tuple[int, ...] = (24, 48, 96, 160), dropout: float = 0.2, reads_glasses: bool = False
    ) -> None:
        super().__init__()
        pairs = zip((3, *widths), widths, strict=False)
        self.body = nn.Sequential(*(_Stage(cin, cout) for cin, cout in pairs))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1] * 49, 96), nn.ReLU(), nn.Linear(96, 3))

    def logits(self, crops: Tensor, inside: Tensor) -> Tensor:
        """[B, 3]: (age - 40) / 20, logit of male, logit of glasses. inside: [B, 1, 112, 112], see `inner_face`."""
        return self.head(self.body(inside * (2 * crops - 1)).flatten(1))

    def forward(self, crops: Tensor, points: Tensor) -> Tensor:
        """[B, 3]. crops: [B, 3, 112, 112] RGB 0..1, aligned; points: mesh [B, 468, 2] in their pixels."""
        out = self.logits(crops, inner_face(points, crops.shape[-1]).to(crops))
        glasses = out[:, 2].sigmoid() * float(self.config.reads_glasses)  # an output without labels says nothing
        return torch.stack((40 + 20 * out[:, 0], out[:, 1].sigmoid(), glasses), dim=1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut (ResNet-D, arXiv 1812.01187)."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout),
        )  # fmt: skip
        pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        shortcut = nn.Sequential(pool, nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout))
        self.shortcut = nn.Identity() if cin == cout and stride == 1 else shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class WitnessNetwork(ModelMixin, ConfigMixin):
    """Aligned crops and the mesh in them -> age (years), sex (0 female .. 1 male), share of each descent (`DESCENTS`).

    Judges new faces. What new faces were trained through is pleased by them, so no network is ever trained through this one.
    It sees the inner face only, as `PersonNetwork` does. Age is the mean of a distribution over years (arXiv 1804.03360).
    """

    @register_to_config
    def __init__(
        self, widths: tuple[int, ...] = (32, 56, 112, 192), depths: tuple[int, ...] = (0, 2, 3, 2), dropout: float = 0.3
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for cin, cout, depth in zip((widths[0], *widths), widths, depths, strict=False):
            layers += [_Block(cin if i == 0 else cout, cout, 2 if i == 0 else 1) for i in range(depth)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], AGES + 1 + len(DESCENTS)))
        self.register_buffer("years", torch.arange(AGES, dtype=torch.float32), persistent=False)

    def logits(self, crops: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 101] of each year of age, [B] of male, [B, 4] of descents. inside: [B, 1, 112, 112], see `inner_face`."""
        out = self.head(self.body(inside * (2 * crops - 1)))
        return out[:, :AGES], out[:, AGES], out[:, AGES + 1 :]

    def forward(self, crops: Tensor, points: Tensor) -> Tensor:
        """[B, 6]. crops: [B, 3, 112, 112] RGB 0..1, aligned; points: mesh [B, 468, 2] in their pixels."""
        age, sex, descent = self.logits(crops, inner_face(points, crops.shape[-1]).to(crops))
        years = (age.float().softmax(dim=1) * self.years).sum(dim=1)
        return torch.cat((torch.stack((years, sex.float().sigmoid()), dim=1), descent.float().softmax(dim=1)), dim=1)


@torch.no_grad()
def inner_face(points: Tensor, size: int = 112) -> Tensor:
    """1 inside the oval of meshes [B, 468, 2], 0 outside, with an edge of some pixels. [B, 1, size, size]."""
    oval = points[:, OVAL.tolist()].float()
    (x1, y1), (x2, y2) = oval.unbind(dim=2), oval.roll(-1, dims=1).unbind(dim=2)  # [B, 36]
    line = torch.arange(size, device=points.device, dtype=torch.float32)
    crosses = (y1[..., None] > line) != (y2[..., None] > line)  # [B, 36, rows]: where an edge passes a row
    rise = torch.where(y1 == y2, torch.ones_like(y1), y2 - y1)
    at = x1[..., None] + (line - y1[..., None]) * ((x2 - x1) / rise)[..., None]
    inside = (crosses[..., None] & (line < at[..., None])).sum(dim=1) % 2
    return F.avg_pool2d(inside[:, None].float(), 5, stride=1, padding=2, count_include_pad=False)
