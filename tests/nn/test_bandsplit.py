from __future__ import annotations

import pytest
import torch

from soli.errors import SoliError
from soli.nn.bandsplit import BandMerge, BandSplit, band_groups

LAYOUT = ((3, 2), (2, 5))


def test_a_layout_that_misses_bins_is_refused() -> None:
    with pytest.raises(SoliError, match="covers 16 bins; it must cover 20"):
        band_groups(LAYOUT, 20)


def test_each_band_sees_only_its_own_bins() -> None:
    split = BandSplit(band_groups(LAYOUT, 16), 4, 8)
    bins = torch.randn(1, 4, 6, 16, requires_grad=True)
    split(bins)[0, 3].sum().backward()  # the first of the wide bands: bins 6 to 10
    touched = bins.grad.abs().sum(dim=(0, 1, 2)) > 0
    assert touched.tolist() == [6 <= index < 11 for index in range(16)]


def test_each_bin_comes_from_its_own_band() -> None:
    merge = BandMerge(band_groups(LAYOUT, 16), 8, 3)
    features = torch.randn(1, 5, 6, 8, requires_grad=True)
    merge(features)[..., 5].sum().backward()  # the last bin of the third band
    touched = features.grad.abs().sum(dim=(0, 2, 3)) > 0
    assert touched.tolist() == [False, False, True, False, False]


def test_merge_lays_out_values_and_bins_in_order() -> None:
    merge = BandMerge(band_groups(((2, 3),), 6), 1, 2)
    with torch.no_grad():
        merge.weights[0].copy_(torch.arange(12.0).view(2, 1, 6))
    planes = merge(torch.ones(1, 2, 1, 1))[0, :, 0]
    assert planes.tolist() == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]
