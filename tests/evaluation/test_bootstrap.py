from __future__ import annotations

import numpy as np
import pytest

from soli.errors import SoliError
from soli.evaluation.bootstrap import paired_bootstrap


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_the_difference_is_the_statistic_of_the_differences(statistic):
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 41))
    result = paired_bootstrap(first, second, statistic=statistic)
    assert result.difference == pytest.approx(getattr(np, statistic)(first - second))
    assert result.low <= result.difference <= result.high
    assert result.n_clips == 41


def test_a_constant_advantage_is_certain_however_much_the_clips_differ():
    clips = np.random.default_rng(1).normal(scale=30, size=20)
    result = paired_bootstrap(clips + 0.5, clips)
    assert (result.low, result.high) == pytest.approx((0.5, 0.5))


def test_exchanging_the_models_turns_the_interval_round():
    first, second = np.random.default_rng(2).normal(size=(2, 30))
    there, back = paired_bootstrap(first, second, statistic="mean"), paired_bootstrap(second, first, statistic="mean")
    assert (back.low, back.difference, back.high) == pytest.approx((-there.high, -there.difference, -there.low))


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    differences = np.random.default_rng(3).normal(1.0, 2.0, size=400)
    result = paired_bootstrap(differences, np.zeros(400), statistic="mean")
    half = 1.96 * differences.std() / 20
    assert (result.low, result.high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(4)
    inside = 0
    for trial in range(200):
        sample = random.normal(0.3, 1.0, size=40)
        result = paired_bootstrap(sample, np.zeros(40), statistic="mean", n_resamples=400, confidence=0.9, seed=trial)
        inside += result.low <= 0.3 <= result.high
    assert 165 <= inside <= 195


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    first, second = np.random.default_rng(5).normal(size=(2, 25))
    results = [paired_bootstrap(first, second, statistic="mean", seed=seed) for seed in (7, 7, 8)]
    assert results[0] == results[1] != results[2]


def test_clips_without_a_number_are_left_out():
    first, second = [1.0, np.nan, 3.0, 4.0], [0.0, 5.0, np.nan, 2.0]
    result = paired_bootstrap(first, second, statistic="mean")
    assert (result.difference, result.n_clips) == (1.5, 2)


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(SoliError, match=r"\[2\] and \[3\]"):
        paired_bootstrap([1, 2], [1, 2, 3])
    with pytest.raises(SoliError, match="none of 2 clips"):
        paired_bootstrap([np.nan, 1], [1, np.nan])
