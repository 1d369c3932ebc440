"""A5: a network is trained to undo the anonymization; is the person recognised in what it makes?"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...assets import our_weights
from ...faces.alignment import ARCFACE_POINTS
from ...identity.encoder import IdentityEncoder
from ..evidence import Evidence
from ..examine import CROP, CROP_FACE, ORIGINAL
from ..findings import Control, Finding, Row, checked, in_words, not_run, share_gate, share_row, sorted_rows
from ..recognisers import Auditor
from .networks import Pulse, UNet, no_pulse
from .verification import NO_THRESHOLD, limits

INVERTED = (
    "A5", "reconstruction: a network trained on pairs to undo the anonymization",
    "Todt, Hanisch and Strufe, PoPETs 2024 (arXiv 2210.10651): reversibility of face anonymization",
)  # fmt: skip
LEAST, WIDTH, BATCH = 40, 16, 8
IDENTITY_EVERY = 4  # steps; the identity loss costs more than the rest
HELD_OUT = 3  # every third person is never trained with
EDGE = (CROP - CROP_FACE) // 2
POINTS = ((ARCFACE_POINTS + 0.5) * CROP_FACE / 112 - 0.5 + EDGE).astype(np.float32)


def invert(
    evidence: Evidence, rng: np.random.Generator, minutes: float, pulse: Pulse = no_pulse
) -> list[Finding]:
    """A5. Two thirds of the people train, one third is tested; half of the time goes to the control."""
    rows = np.array([i for i, row in enumerate(evidence.rows) if row.crops is not None], dtype=int)
    if len(rows) < LEAST:
        return [not_run(*INVERTED, f"{len(rows)} pairs of faces; at least {LEAST} are needed")]
    thresholds = limits(evidence)
    if not thresholds:
        return [not_run(*INVERTED, NO_THRESHOLD)]
    labels = np.unique(evidence.persons[rows].astype(str), return_inverse=True)[1]
    order = rng.permutation(labels.max() + 1)
    test = order[labels] % HELD_OUT == 0
    before, after = (_stack(evidence, rows, side) for side in (0, 1))
    made, steps = restore(after[~test], before[~test], after[test], rng, 30 * minutes, pulse)
    negative = -before.flip(1)  # a "protection" that everybody undoes
    undone, _ = restore(negative[~test], before[~test], negative[test], rng, 30 * minutes, pulse)
    return [_judged(evidence, rows[test], made, undone, before[test], int((~test).sum()), steps)]


def restore(
    x: Tensor, y: Tensor, at: Tensor, rng: np.random.Generator, seconds: float, pulse: Pulse = no_pulse
) -> tuple[Tensor, int]:
    """What a network trained on x -> y [N, 3, 80, 80] makes of `at`, and how many steps it had.

    The loss is the pixels' and the identity's, by the package's own encoder: the attacker has the published weights.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    encoder = IdentityEncoder.from_pretrained(our_weights("identity_encoder"), torch_dtype=torch.float32).eval()
    encoder.requires_grad_(False)
    net, deadline, step = UNet(WIDTH, generator), time.monotonic() + seconds, 0
    net.colours.load_state_dict(colour_map(x, y))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    with torch.inference_mode():
        wanted = torch.cat([encoder(_face(part)) for part in y.split(16)])
    wanted = wanted.clone()
    while time.monotonic() < deadline or step < 2:
        pulse()
        chosen = torch.randint(len(x), (BATCH,), generator=generator)
        flip = bool(torch.randint(2, (1,), generator=generator))
        seen, goal = (t[chosen].flip(-1) if flip else t[chosen] for t in (x, y))
        guess = net(seen)
        loss = (guess - goal).abs().mean()
        if step % IDENTITY_EVERY == 0 and not flip:
            loss = loss + 0.3 * (1 - (encoder(_face(guess)) * wanted[chosen]).sum(dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    with torch.inference_mode():
        return torch.cat([net(part) for part in at.split(16)]).clamp(-1, 1), step


def colour_map(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The 1x1 convolution that maps the colours of x to those of y best, by least squares: where training starts."""
    a, b = (t[..., ::4, ::4].permute(0, 2, 3, 1).reshape(-1, 3).double() for t in (x, y))
    solved = torch.linalg.lstsq(torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], dim=1), b).solution.float()
    return {"weight": solved[:3].T.reshape(3, 3, 1, 1).contiguous(), "bias": solved[3].contiguous()}


def _stack(evidence: Evidence, rows: np.ndarray, side: int) -> Tensor:
    """Crops before (0) or after (1), [N, 3, 80, 80] in -1..1."""
    crops = [pair[side] for i in rows if (pair := evidence.rows[i].crops) is not None]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _face(crops: Tensor) -> Tensor:
    """The encoder's view of crops: [B, 3, 112, 112] in 0..1."""
    inner = crops[..., EDGE : EDGE + CROP_FACE, EDGE : EDGE + CROP_FACE]
    return F.interpolate((inner + 1) / 2, (112, 112), mode="bilinear", align_corners=False).clamp(0, 1)


def _embedded(auditor: Auditor, crops: Tensor) -> np.ndarray:
    pictures = ((crops + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return np.stack([auditor.embed(np.ascontiguousarray(picture), POINTS) for picture in pictures])


def _judged(
    evidence: Evidence, rows: np.ndarray, made: Tensor, undone: Tensor, real: Tensor, learned_from: int, steps: int
) -> Finding:
    place = {int(row): k for k, row in enumerate(rows)}
    probe, photo = evidence.genuine()
    tested = np.isin(probe, rows)
    probe, photo = np.array([place[int(p)] for p in probe[tested]], dtype=int), photo[tested]
    gated, others, planted = list[Row](), list[Row](), list[Row]()
    for judge, limit in limits(evidence).items():
        auditor, originals = evidence.auditors[judge], evidence.vectors(judge, ORIGINAL)
        for name, crops, kind in (("restored", made, gated), ("negative, restored", undone, planted), ("original", real, others)):
            vectors = _embedded(auditor, crops)
            same = share_row(judge, f"{name}, same photograph", auditor.scores(vectors, originals[rows]), limit)
            if len(probe):
                found = auditor.scores(vectors[probe], originals[photo])
                kind.append(share_row(judge, f"{name}, another photograph", found, limit))
                others.append(same)
            else:
                (planted if kind is planted else others).append(same)
    most = max(planted, key=lambda row: row["share"])  # small crops are too coarse for some judges
    return checked(Finding(
        *INVERTED, rows=(*sorted_rows(gated), *sorted_rows([*others, *planted])),
        gate=share_gate(gated, 0.01, 0.002) if gated else None,
        control=Control("a negative is undone", f"{in_words(most)}, {most['judge']}", most["share"] >= 0.5),
        note=f"Learned from {learned_from} pairs in {steps} steps, tested on other people, at {CROP} px."
        + ("" if gated else " No person has two photographs: the limit is for another photograph and is not judged."),
    ))  # fmt: skip
