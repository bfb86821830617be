from __future__ import annotations

import math

import pytest
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import null_residual, seam_energy, silence_leakage


def test_leakage_is_the_level_where_the_reference_is_silent():
    references, estimates = torch.ones(2, 2, 400), torch.ones(2, 2, 400)
    references[..., 100:200] = 0
    references[1, 0, 150] = 0.5  # one channel sounds once: not silent
    references[1, :, 300:400] = 1e-5  # -100 dBFS
    estimates[..., 100:200] = 0.1
    estimates[..., 300:400] = 0.01
    leakage = silence_leakage(references, estimates, window=100)
    assert leakage.tolist() == pytest.approx([-20, -40], abs=1e-5)
    strict = silence_leakage(references, estimates, window=100, threshold_dbfs=-110)
    assert strict[0].item() == pytest.approx(-20, abs=1e-5)
    assert strict[1].isnan()


def test_leakage_averages_power_and_leaves_out_the_last_piece():
    estimates = torch.tensor([[0.1, 0.1, 0.3, 0.3, 1.0]])
    leakage = silence_leakage(torch.zeros(1, 5), estimates, window=2)
    assert leakage.item() == pytest.approx(10 * math.log10(0.05), abs=1e-5)


def test_leakage_has_no_answer_without_silence_and_is_nothing_for_a_silent_estimate():
    sound, silence = torch.ones(3, 1, 50), torch.zeros(3, 1, 50)
    assert silence_leakage(sound, sound, window=10).isnan().all()
    assert silence_leakage(silence, sound, window=51).isnan().all()
    assert (silence_leakage(silence, silence, window=10) == -math.inf).all()
    with pytest.raises(SoliError, match="window=0"):
        silence_leakage(sound, sound, window=0)


def test_null_residual_is_the_peak_of_what_is_missing():
    torch.manual_seed(0)
    stems = torch.randn(2, 3, 2, 100, dtype=torch.float64)
    mixtures = stems.sum(1)
    mixtures[1, 0, 7] += 0.01
    found = null_residual(mixtures, stems)
    assert found[0].item() < -280  # the sum in another order
    assert found[1].item() == pytest.approx(-40)
    assert null_residual(torch.zeros(1, 9), torch.zeros(2, 1, 9)).item() == -math.inf


def test_null_residual_refuses_stems_that_do_not_fit():
    for stems in (torch.ones(3, 2, 99), torch.ones(2, 100), torch.ones(3, 1, 100)):
        with pytest.raises(SoliError, match=r"\[... S C T\]"):
            null_residual(torch.ones(2, 100), stems)


def test_seam_energy_sees_the_borders_only():
    references = torch.ones(2, 1, 1000)
    estimates = references.clone()
    estimates[0, :, 495:505] += 0.1  # half of what is looked at
    estimates[1, :, 400:490] += 0.1
    found = seam_energy(references, estimates, borders=[500], radius=10)
    assert found[0].item() == pytest.approx(10 * math.log10(0.01 / 2), abs=1e-4)
    assert found[1].item() == -math.inf
    wider = seam_energy(references, estimates, borders=[3, 500], radius=100)
    assert wider[1].item() == pytest.approx(10 * math.log10(0.01 * 90 / 303), abs=1e-4)


def test_seam_energy_has_no_answer_where_the_reference_is_silent_or_there_is_no_border():
    references = torch.ones(1, 100)
    assert seam_energy(references, references, borders=[], radius=5).isnan()
    references[:, 40:60] = 0
    assert seam_energy(references, torch.ones(1, 100), borders=[50], radius=10).isnan()


@pytest.mark.parametrize(("borders", "radius", "named"), [([100], 1, "100"), ([0], 1, "0"), ([5], 0, "radius=0")])
def test_seam_energy_refuses_borders_outside(borders, radius, named):
    with pytest.raises(SoliError, match=named):
        seam_energy(torch.ones(1, 100), torch.ones(1, 100), borders=borders, radius=radius)


@pytest.mark.parametrize(
    "metric",
    [lambda r, e: silence_leakage(r, e, window=2), lambda r, e: seam_energy(r, e, borders=[2], radius=1)],
)
def test_unequal_shapes_are_refused(metric):
    with pytest.raises(SoliError, match=r"\[2, 5\].*\[2, 6\]"):
        metric(torch.ones(2, 5), torch.ones(2, 6))
