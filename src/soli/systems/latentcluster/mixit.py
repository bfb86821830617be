"""Mixture invariant training (Wisdom et al. 2020): estimates are shared out among mixtures as suits them best.

With two mixtures it is theirs; where every mixture is a single source it is permutation invariant training, with more
estimates than sources.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

_SMALLEST = 1e-3  # of the sum of all mixtures
_SILENCE, _IN_SILENCE = 1e-6, 0.1  # what is silent, and how much less an error there weighs


class Grams(NamedTuple):
    """Inner products from which the error of any sharing out follows.

    Attributes:
        estimates: of estimates with each other, `[B S S]`.
        crossed: of mixtures and estimates, `[B P S]`.
        mixtures: energy of each mixture, `[B P]`.
    """

    estimates: Tensor
    crossed: Tensor
    mixtures: Tensor


def masked_grams(masks: Tensor, whole: Tensor, mixtures: Tensor) -> Grams:
    """Inner products of masked spectrograms, without making them.

    Args:
        masks: real `[B S N F]`.
        whole: what is masked, complex `[B N F]`.
        mixtures: complex `[B P N F]`.

    Returns:
        The products, in units of bins.
    """
    masks = masks.flatten(2)
    power = whole.abs().square().flatten(1)[:, None]
    toward = (whole.conj()[:, None] * mixtures).real.flatten(2)
    return Grams(
        estimates=(masks * power) @ masks.mT,
        crossed=toward @ masks.mT,
        mixtures=mixtures.abs().square().flatten(2).sum(dim=-1),
    )


def mixit_loss(grams: Grams, *, floor_db: float = -30.0) -> tuple[Tensor, Tensor]:
    """Equation 2 with a thresholded SNR, over all ways to give every estimate to one mixture.

    Args:
        grams: of the estimates and P mixtures; silent ones count little.
        floor_db: error below which nothing more is to gain.

    Returns:
        Scalar in dB, mean over items and mixtures; and which mixture each estimate went to, `[B S]`.
    """
    n_mixtures, n_estimates = grams.crossed.shape[1:]
    choices = torch.tensor(list(product(range(n_mixtures), repeat=n_estimates)), device=grams.estimates.device)
    given = torch.nn.functional.one_hot(choices, n_mixtures).mT.to(grams.estimates.dtype)  # [A P S]
    squared = torch.einsum("aps,bst,apt->bap", given, grams.estimates, given)
    crossed = torch.einsum("aps,bps->bap", given, grams.crossed)
    energies = grams.mixtures[:, None]
    error = (energies - 2 * crossed + squared).clamp(min=0)
    level = torch.maximum(energies, _SMALLEST * energies.sum(dim=-1, keepdim=True)) + 1e-8
    there = (energies > _SILENCE * energies.sum(dim=-1, keepdim=True)).to(error.dtype)
    loss = 10 * torch.log10(error / level + 10 ** (floor_db / 10)) * (there + (1 - there) * _IN_SILENCE)
    loss = loss.sum(dim=-1) / there.sum(dim=-1).clamp(min=1)  # [B A]
    best = loss.argmin(dim=1)
    return loss.gather(1, best[:, None]).mean(), choices[best]
