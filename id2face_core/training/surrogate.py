"""Stage `prior`: the surrogate that reads identity and attributes off a style code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..diffusion.surrogate import StyleSurrogate
from .config import LoopConfig, Optimisation
from .loop import Loop, seeded
from .table import Table


class SurrogateTask:
    """Style code -> (identity, standardised attributes) on a table.

    Args:
        start_from: goes on from a trained one, in its units.
        asked: more faces, which half of each batch is drawn from, see `corrections`.
    """

    def __init__(
        self, table: Table, width: int = 768, start_from: StyleSurrogate | None = None, device: torch.device | None = None,
        seed: int = 0, asked: Table | None = None, name: str = "surrogate",
    ) -> None:  # fmt: skip
        self.name = name
        train, self._test = table.split()
        with seeded(seed):
            self.model = start_from or StyleSurrogate(
                identity_dim=table.embeddings.shape[1], num_attributes=table.attributes.shape[1], width=width
            )
        if start_from is None:
            self.model.centre.copy_(train.codes.mean(dim=0))
            self.model.spread.copy_(train.codes.std())
            self.model.attribute_mean.copy_(train.attributes.mean(dim=0))
            self.model.attribute_std.copy_(train.attributes.std(dim=0).clamp_min(1e-4))
        place = device or torch.device("cpu")
        self._train = train.to(place)
        self._asked = None if asked is None else asked.to(place)

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        rows = self._draw(self._train, batch if self._asked is None else batch // 2, rng)
        if self._asked is not None:
            rows = rows.join(self._draw(self._asked, batch - len(rows.codes), rng))
        identity, attributes = self.model(rows.codes)
        return {
            "identity": (1 - (identity.float() * rows.embeddings).sum(dim=1)).mean(),
            "attributes": 0.3 * F.mse_loss(attributes.float(), self.model.standardise(rows.attributes)),
        }

    @staticmethod
    def _draw(table: Table, count: int, rng: Generator) -> Table:
        return table.rows(torch.randint(len(table.codes), (count,), generator=rng, device=rng.device))

    @torch.no_grad()
    def finish(self) -> dict[str, object]:
        """Store how far each attribute can be trusted (held-out R²); returns the held-out figures."""
        model = self.model.cpu()
        identity, attributes = model(self._test.codes)
        target = (self._test.attributes - model.attribute_mean) / model.attribute_std
        r2 = 1 - (attributes - target).square().mean(dim=0) / target.var(dim=0).clamp_min(1e-6)
        model.reliability.copy_(r2.nan_to_num(0.0).clamp(0, 1))
        cosine = float((identity * self._test.embeddings).sum(dim=1).mean())
        return {"identity_cosine": cosine, "attribute_r2": r2.tolist()}


def train_surrogate(
    table: Table, seconds: float, seed: int = 0, batch: int = 256, start_from: StyleSurrogate | None = None
) -> tuple[StyleSurrogate, dict]:
    """`SurrogateTask` for a time, for scripts: the network and its held-out figures; nothing is written."""
    task = SurrogateTask(table, start_from=start_from, seed=seed)
    Loop(task, Optimisation(1.0, batch, 1e-3, 0.05), LoopConfig(), seed=seed).run(seconds)
    return task.model, task.finish()
