from __future__ import annotations

import torch

from soli.systems.rqvae import subsets

CPU = torch.device("cpu")


def test_how_many_stems_are_known_is_uniform_and_then_which() -> None:
    torch.manual_seed(0)
    known = subsets.known(4000, 4, CPU)[..., 0]
    counts = torch.bincount(known.sum(dim=1).long(), minlength=5)
    assert counts[4] == 0
    assert (counts[:4] - 1000).abs().max() < 120
    assert (known.mean(dim=0) - 0.375).abs().max() < 0.03


def test_every_subset_of_stems_sounds_alike_often_but_never_none() -> None:
    torch.manual_seed(0)
    gains = subsets.sounding(3000, 4, CPU, probability=1.0)[..., 0]
    counts = torch.bincount((gains * torch.tensor([1, 2, 4, 8])).sum(dim=1).long(), minlength=16)
    assert counts[0] == 0
    assert (counts[1:] - 200).abs().max() < 60


def test_without_subsets_all_sound() -> None:
    torch.manual_seed(0)
    assert (subsets.sounding(200, 4, CPU, probability=0.0) == 1).all()
    half = (subsets.sounding(4000, 4, CPU, probability=0.5) == 1).all(dim=1).float().mean()
    assert abs(float(half) - (0.5 + 0.5 / 15)) < 0.03
