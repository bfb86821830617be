from __future__ import annotations

import numpy as np
import pytest
import torch

from soli.dsp.mel import hz_to_mel, mel_filterbank, mel_pseudo_inverse, mel_to_hz
from soli.errors import SoliError


@pytest.fixture(scope="module")
def paper_filterbank():
    return mel_filterbank(44100, 2048, 300)


def test_scale_passes_through_its_known_points():
    hertz = torch.tensor([0.0, 200.0, 1000.0, 6400.0], dtype=torch.float64)
    mel = torch.tensor([0.0, 3.0, 15.0, 42.0], dtype=torch.float64)
    torch.testing.assert_close(hz_to_mel(hertz), mel)
    torch.testing.assert_close(mel_to_hz(mel), hertz)


def test_filters_are_triangles_between_equally_spaced_mel_points():
    mel = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 42)  # to 8000 Hz
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    bins = np.linspace(0, 8000, 513)
    filters = mel_filterbank(16000, 1024, 40).numpy()
    for k in range(40):
        triangle = np.interp(bins, edges[k : k + 3], [0.0, 1.0, 0.0])
        np.testing.assert_allclose(filters[k], triangle / triangle.sum(), atol=1e-12)


def test_rows_sum_to_one_so_a_constant_stays_constant(paper_filterbank):
    torch.testing.assert_close(paper_filterbank.sum(dim=1), torch.ones(300, dtype=torch.float64))


def test_size_of_the_paper_has_the_rank_that_repeated_narrow_filters_leave(paper_filterbank):
    inverse = mel_pseudo_inverse(paper_filterbank)
    assert torch.linalg.matrix_rank(paper_filterbank, rtol=1e-9) == 265
    assert (paper_filterbank.sum(dim=0) == 0).sum() == 1
    torch.testing.assert_close(paper_filterbank @ inverse @ paper_filterbank, paper_filterbank, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(5, 9), (20, 40), (100, 300), (600, 1000)])
def test_masks_that_are_constant_over_bands_survive_the_way_to_mel_and_back(paper_filterbank, low, high):
    mask = torch.zeros(1025, dtype=torch.float64)
    mask[low:high] = 1
    restored = mel_pseudo_inverse(paper_filterbank) @ (paper_filterbank @ mask)
    margin = (high - low) // 10
    inside = slice(low + margin, high - margin)
    torch.testing.assert_close(restored[inside], mask[inside], rtol=0, atol=0.01)
    assert (restored - mask).square().mean().sqrt() < 0.06


def test_too_many_filters_are_refused():
    with pytest.raises(SoliError, match="n_mels=300"):
        mel_filterbank(44100, 512, 300)
