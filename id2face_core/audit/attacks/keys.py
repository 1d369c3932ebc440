"""A7: does a wrong key, a key one bit off, or a guessed passphrase bring the person back? For `--mode keyed`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import t as student
from torch import Tensor

from ...assets import our_weights
from ...faces.alignment import warp
from ...identity.encoder import IdentityEncoder
from ...identity.orthogonal import keyed_back, outside
from ...identity.traits import IdentityTraits
from ...identity.vae import IdentityVAE
from ...stages import PERSON_NONCE
from ..evidence import Evidence
from ..examine import CROP, CROP_FACE
from ..findings import Control, Finding, Row, checked, count_row, in_words, not_run, share_gate, sorted_rows
from ..statistics import threshold_at_far

GUESSED = "A7", "a wrong key, a key one bit off, a dictionary of passphrases", "ISO/IEC 24745: irreversibility without the key"
TRIALS = 1000  # (key, face) pairs of each kind
LEAST_FACES = 40
WORDS = ("password", "123456", "qwerty", "letmein", "admin", "welcome", "id2face", "secret", "key", "test", "face", "anonymous")
FAR = 1e-2  # of the package's own encoder, by pairs of different originals here


def guess(evidence: Evidence, key: bytes | None, rng: np.random.Generator) -> list[Finding]:
    """A7: the reversal with the true key is the control, with all others the attack.

    The control fires when the true key brings back a tenth of the faces above the threshold, or, since what a photograph
    shows of an identity is faint, when their person comes nearer than strangers do.
    """
    tried = [row.crops is not None and row.found for row in evidence.rows]  # a filled face holds nothing to turn back
    rows = [row for row, ok in zip(evidence.rows, tried, strict=True) if ok]
    if key is None:
        return [not_run(*GUESSED, "no key was given (--key-file); only pictures made with --mode keyed can be turned back")]
    if len(rows) < LEAST_FACES:
        return [not_run(*GUESSED, f"{len(rows)} pairs of faces; at least {LEAST_FACES} are needed")]
    before, after = (_embedded([row.crops[side] for row in rows if row.crops is not None]) for side in (0, 1))
    persons = evidence.persons[np.array(tried)].astype(str)
    originals = Originals(before, persons, _threshold(before, persons))
    vae = IdentityVAE.from_pretrained(our_weights("identity_vae")).float().eval()
    with torch.inference_mode():
        latents = vae.encode(after)
    everyone = np.arange(len(rows))
    basis = IdentityTraits.from_pretrained(our_weights("identity_traits")).float().basis()
    control = _turned(vae, basis, latents, originals, [key], everyone[None], "the true key")
    attacks = [
        _turned(vae, basis, latents, originals, keys, rng.integers(0, len(rows), (len(keys), 10)), what)
        for what, keys in _keys(key, rng).items()
    ]
    worked = control["share"] >= 0.1 or control["p"] < 0.01
    words = f"{in_words(control)}; nearer than {100 * control['nearer_than']:.0f} % of strangers, p = {control['p']:.2g}"
    return [checked(Finding(
        *GUESSED, rows=(*sorted_rows(attacks), control), gate=share_gate(attacks, 0.005, 0.0),
        control=Control("the true key brings people back", words, worked),
        note="Recognised by the package's own encoder, above its threshold at FAR 0.01 on different originals. “nearer than”: "
        "share of other people's originals that are less alike to what is brought back than the person's own; 0.5 is chance.",
    ))]  # fmt: skip


def _keys(key: bytes, rng: np.random.Generator) -> dict[str, list[bytes]]:
    count = TRIALS // 10
    flips = []
    for bit in rng.choice(8 * len(key), min(count, 8 * len(key)), replace=False):
        wrong = bytearray(key)
        wrong[bit // 8] ^= 1 << (bit % 8)
        flips.append(bytes(wrong))
    phrases = [f"{word}{number}" for word in WORDS for number in range(count // len(WORDS) + 1)][:count]
    return {
        "random keys": [rng.bytes(32) for _ in range(count)], "one bit off": flips,
        "dictionary": [hashlib.sha256(phrase.encode()).digest() for phrase in phrases],
    }  # fmt: skip


@dataclass(frozen=True)
class Originals:
    """What is looked for: unit embeddings [N, E], whose they are [N], and the cosine above which two are one person."""

    vectors: Tensor = field(repr=False)
    persons: np.ndarray = field(repr=False)
    limit: float


@torch.inference_mode()
def _turned(
    vae: IdentityVAE, kept: Tensor, latents: Tensor, originals: Originals, keys: list[bytes], faces: np.ndarray, what: str
) -> Row:
    """A row for some keys. kept: [L, K] of the traits, which no key turns, so that who is nearer shows in the rest.

    faces: which faces each key is tried on [K, n]. p: one-sided.
    """
    rest = outside(latents.shape[1], kept)
    known = F.normalize(vae.encode(originals.vectors) @ rest, dim=1)
    hits, nearer, whose = 0, list[float](), list[str]()
    for key, chosen in zip(keys, faces, strict=True):
        back = keyed_back(latents[chosen], key, PERSON_NONCE, kept)
        cosines = (F.normalize(vae.decode(back), dim=1) * originals.vectors[chosen]).sum(dim=1)
        hits += int((cosines > originals.limit).sum())
        for row, face in zip((F.normalize(back @ rest, dim=1) @ known.T).numpy(), chosen, strict=True):
            others = row[originals.persons != originals.persons[face]]
            nearer.append(float((others < row[face]).mean()))
            whose.append(str(originals.persons[face]))
    mean, p = _above_chance(np.array(nearer), np.array(whose))
    return count_row("own encoder", what, hits, len(nearer), nearer_than=mean, p=p)


def _above_chance(shares: np.ndarray, persons: np.ndarray) -> tuple[float, float]:
    """(mean, one-sided p of a mean of 0.5). A person's faces count as one observation (Liang and Zeger 1986)."""
    mean = float(shares.mean())
    groups = np.unique(persons, return_inverse=True)[1]
    sums = np.bincount(groups, shares - mean)
    error = float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))) / len(shares)
    return mean, float(student.sf((mean - 0.5) / error, len(sums) - 1)) if error > 0 else 1.0


def _threshold(before: Tensor, persons: np.ndarray) -> float:
    cosines = (before @ before.T).numpy()
    return threshold_at_far(cosines[persons[:, None] != persons[None]], FAR)


@torch.inference_mode()
def _embedded(crops: list[np.ndarray]) -> Tensor:
    """Unit embeddings [N, E] of the package's own encoder."""
    encoder = IdentityEncoder.from_pretrained(our_weights("identity_encoder"), torch_dtype=torch.float32).eval()
    scale, edge = 112 / CROP_FACE, (CROP - CROP_FACE) / 2
    matrix = np.array([[scale, 0, scale * (0.5 - edge) - 0.5], [0, scale, scale * (0.5 - edge) - 0.5]])
    faces = np.stack([warp(crop, matrix, 112) for crop in crops])
    batch = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    return torch.cat([encoder.embed(part) for part in batch.split(16)])
