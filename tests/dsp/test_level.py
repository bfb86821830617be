from __future__ import annotations

import torch

from soli.dsp.level import decibels, mixed_down, whiten


def test_ten_times_the_amplitude_is_twenty_decibels():
    amplitude = torch.tensor([10.0, 1.0, 0.1, 0.0])
    torch.testing.assert_close(decibels(amplitude, amplitude.max()), torch.tensor([0.0, -20.0, -40.0, -80.0]))


def test_silence_relative_to_silence_is_zero_decibels():
    assert torch.equal(decibels(torch.zeros(3), torch.zeros(())), torch.zeros(3))


def test_whitening_leaves_zero_mean_and_unit_deviation_of_every_item():
    values = torch.randn(3, 40, 50) * torch.tensor([1.0, 30.0, 0.01])[:, None, None] + 7
    white = whiten(values, dims=(1, 2))
    torch.testing.assert_close(white.mean(dim=(1, 2)), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(white.std(dim=(1, 2), correction=0), torch.ones(3), rtol=1e-3, atol=0)


def test_whitening_a_constant_gives_zeros():
    assert torch.equal(whiten(torch.full((1, 4, 5), -80.0), dims=(1, 2)), torch.zeros(1, 4, 5))


def test_one_channel_hears_what_all_hear_even_where_they_cancel():
    first, second = torch.randn(2, 1, 500)
    torch.testing.assert_close(mixed_down(torch.cat((first, second))), (first + second) / 2)
    assert torch.equal(mixed_down(torch.cat((first, -first))).abs(), first.abs())
    assert torch.equal(mixed_down(torch.zeros(2, 10)), torch.zeros(1, 10))
