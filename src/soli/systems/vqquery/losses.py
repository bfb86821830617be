"""What the modern preset minimises: errors of masked mixtures, and terms that give an embedding its order.

With shares p, the mixture X and the target S of a code, everything a waveform error of p X needs are three sums over
bins: made = sum p^2 |X|^2, shared = sum p Re(X* S), true = sum |S|^2. The error's energy is made - 2 shared + true.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.scale import power

_LEAST = 1e-3  # of the mixture's energy: quieter targets count as silence
_TINY = 1e-9


class MaskSums(NamedTuple):
    """Energies of an estimate p X and a target S; every field is `[B M]` but the last.

    Attributes:
        made: of the estimate.
        shared: inner product of both.
        true: of the target.
        mixture: of the mixture, `[B 1]`.
    """

    made: Tensor
    shared: Tensor
    true: Tensor
    mixture: Tensor


def mask_sums(shares: Tensor, mixture: Tensor, targets: Tensor) -> MaskSums:
    """Measure masked mixtures against targets, without making either's waveform.

    Args:
        shares: `[B M N F-1]`, real.
        mixture: complex `[B N F]`; the Nyquist bin is left out.
        targets: complex `[B M N F]`.

    Returns:
        The sums.
    """
    mixture, targets = mixture[:, None, :, :-1], targets[..., :-1]
    energy = power(mixture)
    product = mixture.real * targets.real + mixture.imag * targets.imag
    return MaskSums(
        made=(shares.square() * energy).sum(dim=(-2, -1)),
        shared=(shares * product).sum(dim=(-2, -1)),
        true=power(targets).sum(dim=(-2, -1)),
        mixture=energy.sum(dim=(-2, -1)),
    )


def separation_losses(sums: MaskSums, valid: Tensor, *, floor_db: float = -30.0) -> tuple[Tensor, Tensor]:
    """Errors in dB where a target sounds, and leakage in dB where it is silent.

    The error is half relative to the target, 10 log10(error / true + floor), and half minus its SI-SDR, bounded on both
    sides: an estimate of next to nothing has a gradient in the second alone. The leakage is what all queries that are
    absent from a mixture make together, relative to a thousandth of it, and fades at the same floor.

    Args:
        sums: of a batch.
        valid: which queries are asked at all, `[B M]`.
        floor_db: what is no longer worth a gradient.

    Returns:
        Two scalars in dB; 0 where there is nothing to measure.
    """
    floor = 10 ** (floor_db / 10)
    least = _LEAST * sums.mixture + _TINY
    sounds = valid & (sums.true > least)
    wrong = (sums.made - 2 * sums.shared + sums.true).clamp(min=0)
    level = torch.where(sounds, sums.true, least)
    relative = 10 * torch.log10(wrong / level + floor)
    along = sums.shared.clamp(min=0).square() / sums.true.clamp(min=_TINY)
    rest = (sums.made - along).clamp(min=0)
    shape = 10 * torch.log10((rest + floor * along + _TINY) / (along + 0.01 * rest + _TINY))
    absent = valid & ~sounds
    leaked = (wrong * absent).sum(dim=1, keepdim=True)
    leakage = 10 * torch.log10(leaked / least + floor)
    return _mean(0.5 * (relative + shape), sounds), _mean(leakage, absent.any(dim=1, keepdim=True))


def contrast(first: Tensor, second: Tensor, songs: Tensor, *, temperature: float) -> Tensor:
    """Two excerpts of one stem attract, other stems of the same song repel (InfoNCE; van den Oord et al. 2018).

    Stems of other songs are left out: what tells songs apart cannot help.

    Args:
        first: `[M D]`, of length one.
        second: other excerpts of the same stems, `[M D]`.
        songs: which mixture each is of, `[M]`.
        temperature: of the softmax over the stems of a song.

    Returns:
        Scalar, in nats.
    """
    alike = first @ second.T / temperature
    alike = alike.masked_fill(songs[:, None] != songs, -torch.inf)
    own = torch.arange(len(first), device=first.device)
    return 0.5 * (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own))


def agreement(embeddings: Tensor, vectors: Tensor, codes: Tensor, *, temperature: float) -> Tensor:
    """How surely embeddings belong to given codes: the cross-entropy of their cosines (Caron et al. 2020, eq. 2).

    Args:
        embeddings: `[M D]`, of length one.
        vectors: of the codes, `[N D]`.
        codes: `[M]`, of another excerpt of the same stem.
        temperature: of the softmax over codes.

    Returns:
        Scalar, in nats.
    """
    cosines = embeddings @ F.normalize(vectors, dim=-1).T
    return F.cross_entropy(cosines / temperature, codes)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)
