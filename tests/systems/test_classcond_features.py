from __future__ import annotations

import torch

from soli.systems.classcond.features import ideal_binary_masks


def test_every_loud_bin_belongs_to_its_loudest_source():
    sources = torch.rand(2, 3, 4, 5) + 0.1
    masks = ideal_binary_masks(sources, sources.sum(dim=1))
    assert torch.equal(masks.argmax(dim=1), sources.argmax(dim=1))
    assert torch.equal(masks.sum(dim=1), torch.ones(2, 4, 5))


def test_quiet_bins_belong_to_nobody():
    sources = torch.tensor([[1.0, 0.011, 0.009, 0.0], [0.0, 0.0, 0.0, 0.0]])[None, :, None]
    masks = ideal_binary_masks(sources, sources.sum(dim=1))
    assert masks[0, :, 0].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


def test_the_first_of_equal_sources_wins_alone():
    masks = ideal_binary_masks(torch.ones(1, 3, 2, 2), torch.ones(1, 2, 2))
    assert masks.sum() == 4
    assert masks[0, 0].all()


def test_silence_belongs_to_nobody():
    assert not ideal_binary_masks(torch.zeros(1, 2, 3, 4), torch.zeros(1, 3, 4)).any()


def test_a_reference_for_each_source_lets_a_silent_source_win():
    sources = torch.rand(1, 2, 3, 4) + 0.1
    sources[:, 0] = 0
    mixture = sources.sum(dim=1)
    assert not ideal_binary_masks(sources, mixture)[:, 0].any()
    own = ideal_binary_masks(sources, mixture, per_source_reference=True)
    assert own[:, 0].sum() >= 11  # all but the other source's loudest bin, where both are at 0 dB
