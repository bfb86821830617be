from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from sklearn.decomposition import non_negative_factorization

from soli.baselines.nmf import NMF, NMFConfig, factorise, roughness
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
SMALL = NMFConfig(sample_rate=RATE, n_fft=512, hop_length=128, n_components=8, n_iterations=40)


def test_it_keeps_the_contract() -> None:
    check_separator(NMF(SMALL), longest_seconds=5.0)


def test_a_chord_lasts_and_a_click_strikes() -> None:
    time = torch.arange(3 * RATE) / RATE
    chord = 0.1 * sum(torch.sin(2 * torch.pi * pitch * time) for pitch in (400, 500, 600)).expand(2, -1)
    clicks = torch.zeros(2, 3 * RATE)
    clicks[:, 1000::4000] = 0.9
    estimates = NMF(SMALL).separate(chord + clicks, RATE)
    assert sdr_global(chord, estimates["harmonic"]) > 15
    assert sdr_global(clicks, estimates["percussive"]) > 15 + sdr_global(clicks, chord + clicks)
    assert estimates.residual.abs().max() < 1e-5


def test_the_parts_are_those_of_scikit_learn() -> None:
    magnitude = np.random.default_rng(0).random((20, 30))
    spectra, levels = factorise(magnitude, NMFConfig(n_components=4, n_iterations=10, seed=3))
    due = non_negative_factorization(
        magnitude, n_components=4, init="random", solver="mu", beta_loss=1, max_iter=10, tol=0, random_state=3
    )
    np.testing.assert_allclose(spectra, due[0])
    np.testing.assert_allclose(levels, due[1])


def test_another_seed_is_another_factorisation() -> None:
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    first, second = (
        NMF(NMFConfig(sample_rate=RATE, n_fft=512, hop_length=128, n_components=8, seed=seed)).separate(noise, RATE)
        for seed in (0, 1)
    )
    assert not torch.equal(first.stems, second.stems)


def test_roughness_is_none_for_a_constant_and_two_for_a_peak() -> None:
    rows = np.zeros((2, 9))
    rows[0], rows[1, 4] = 5.0, 3.0
    np.testing.assert_allclose(roughness(rows), [0, 2])


def test_without_scikit_learn_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(SoliError, match=r"pip install 'soli\[nmf\]'"):
        NMF(SMALL).separate(torch.zeros(1, 100), RATE)
