from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from soli.errors import SoliError
from soli.evaluation.protocols import PROTOCOLS, Global, Msdm, Museval, Seed003, Seed003Submix, find_protocol

CHUNK, WINDOW, HOP, RATE = 262_144, 88_200, 44_100, 22_050
PUBLISHED, ACTIVE = Msdm.metrics


def noise(*shape: int, seed: int = 0, rms: float = 0.1) -> Tensor:
    return rms * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def si_snr(target: np.ndarray, estimate: np.ndarray) -> float:
    eps = 1e-8
    scaled = ((estimate @ target) + eps) / ((target @ target) + eps) * target
    error = scaled - estimate
    return 10 * np.log10(((scaled @ scaled) + eps) / ((error @ error) + eps))


def published(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps 4 to 8 of the published evaluation, window by window, on `[S T]`."""
    mixture, everything, sounding = references.sum(0), [], []
    for i in range(int(np.ceil((references.shape[1] - 44_100) / 44_100))):
        span = slice(44_100 * i, 44_100 * i + 88_200)
        length = len(mixture[span])
        active = [np.linalg.norm(stem[span]) / length >= 1.5e-5 for stem in references]
        gains = [
            si_snr(stem[span], estimate[span]) - si_snr(stem[span], mixture[span])
            for stem, estimate in zip(references, estimates, strict=True)
        ]
        everything.append(gains if sum(active) > 1 else [np.nan] * len(gains))
        sounding.append(np.where(active, everything[-1], np.nan))
    return np.array(everything).T, np.array(sounding).T


def test_msdm_follows_the_published_steps():
    references = noise(4, 1, CHUNK)
    references[1] = 0
    references[2, :, : 2 * HOP] = 0
    references[3] *= 0.01
    references[0, :, 3 * HOP : 5 * HOP] = 0
    estimates = references + noise(4, 1, CHUNK, seed=1, rms=0.02)
    found = Msdm().measure(references, estimates, references.sum(0), RATE)
    everything, sounding = published(references[:, 0].double().numpy(), estimates[:, 0].double().numpy())
    assert 0 < np.isnan(everything).all(0).sum() < 5  # some windows are left out, not all
    np.testing.assert_allclose(found[PUBLISHED], everything, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[ACTIVE], sounding, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("length", "count"), [(WINDOW, 1), (WINDOW + 1, 2), (3 * HOP, 2), (CHUNK, 5), (2 * CHUNK, 11)])
def test_msdm_counts_windows_as_published(length, count):
    references = noise(2, 1, length)
    found = Msdm().measure(references, references, references.sum(0), RATE)
    assert found[PUBLISHED].shape == (2, count)


@pytest.mark.parametrize(("level", "gain"), [(-30, 10), (-40, 20), (-60, 40), (-80, 60), (None, 109.5)])
def test_a_silent_stem_counts_as_published_and_not_among_the_active(level, gain):
    references = noise(3, 1, WINDOW, rms=0.1 / 2**0.5)  # two of them make -20 dBFS
    references[2] = 0
    estimates = references.clone()
    if level is not None:
        estimates[2] = noise(1, WINDOW, seed=5, rms=10 ** (level / 20))
    found = Msdm().measure(references, estimates, references.sum(0), RATE)
    assert found[PUBLISHED][2, 0] == pytest.approx(gain, abs=0.1)
    assert found[ACTIVE][2].isnan().all()
    assert torch.equal(found[ACTIVE][:2], found[PUBLISHED][:2])


def test_no_estimate_of_a_very_quiet_stem_is_worth_its_distance_to_the_mixture():
    references = noise(3, 1, WINDOW)
    references[2] *= 0.01
    found = Msdm().measure(references, torch.zeros_like(references), references.sum(0), RATE)
    assert found[PUBLISHED][2, 0] == pytest.approx(43, abs=1)


@pytest.mark.parametrize(("rms", "active"), [(4.40e-3, False), (4.50e-3, True)])
def test_the_threshold_of_silence_is_a_norm_divided_by_the_number_of_samples(rms, active):
    references = noise(3, 1, WINDOW)
    references[0] = rms
    found = Msdm().measure(references, references, references.sum(0), RATE)
    assert bool(found[ACTIVE][0].isfinite().all()) is active


def test_fewer_than_two_active_stems_have_no_number():
    references = noise(2, 1, WINDOW)
    references[1] = 0
    found = Msdm().measure(references, references, references.sum(0), RATE)
    assert all(values.isnan().all() for values in found.values())


def test_msdm_mean_is_not_removed():
    references = noise(2, 1, WINDOW) + 0.5
    centred = references - references.mean(-1, keepdim=True)
    found = Msdm().measure(references, centred, references.sum(0), RATE)
    assert (found[ACTIVE] < 0).all()


def test_msdm_chunks_follow_each_other_and_the_tail_is_dropped():
    assert Msdm().segments(2 * CHUNK + 99, RATE) == [slice(0, CHUNK), slice(CHUNK, 2 * CHUNK)]
    with pytest.raises(SoliError, match=r"11\.0 s of audio; protocol msdm needs 11\.9 s or more"):
        Msdm().segments(11 * RATE, RATE)


def test_museval_is_museval():
    package = importlib.util.find_spec("museval")
    assert package is not None
    assert package.submodule_search_locations
    spec = importlib.util.spec_from_file_location("metrics", Path(package.submodule_search_locations[0], "metrics.py"))
    assert spec is not None
    assert spec.loader is not None
    metrics = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metrics)
    rate = 4000
    references = noise(2, 1, 3 * rate + 100).double()
    references[0, :, rate : 2 * rate] = 0
    estimates = references + noise(2, 1, 3 * rate + 100, seed=1, rms=0.03)
    references, estimates = ((32768 * signals).round() / 32768 for signals in (references, estimates))
    found = Museval().measure(references, estimates, references.sum(0), rate)
    true = metrics.bss_eval(references.mT.numpy(), estimates.mT.numpy(), window=rate, hop=rate)
    for name, values in zip(("sdr", "isr", "sir", "sar"), true, strict=False):
        np.testing.assert_allclose(found[f"{name}_museval"], values, atol=1e-3)
    assert found["sdr_museval"][:, 1].isnan().all()
    assert found["sdr_museval"][:, [0, 2]].isfinite().all()


def test_museval_measures_what_files_of_16_bits_hold():
    references = noise(2, 1, 3000)
    estimates = references + noise(2, 1, 3000, seed=1, rms=0.03)
    shifted = [Museval().measure(references + by, estimates - by, references.sum(0), 1000) for by in (0.0, 1e-9)]
    for name in Museval.metrics:
        assert torch.equal(shifted[0][name], shifted[1][name])
    loud = torch.full((1, 1, 3000), 1.5)
    found = Museval().measure(loud, loud.clamp(max=32767 / 32768), loud[0], 1000)
    assert found["sdr_museval"].isinf().all()


def test_global_is_one_number_for_all_channels():
    references = noise(2, 2, 4000)
    error = noise(2, 2, 4000, seed=1)
    error *= 0.1 * references.norm() / error.norm()
    found = Global().measure(references, references + error, references.sum(0), RATE)
    assert all(values.shape == (2, 1) for values in found.values())
    assert found["sdr_global"].mean() == pytest.approx(20, abs=0.1)
    as_mixture = Global().measure(references, references.sum(0).expand(2, -1, -1), references.sum(0), RATE)
    assert as_mixture["si_sdr_improvement"].abs().max() < 1e-9


@pytest.mark.parametrize(
    ("seconds", "ends"), [(10, [10]), (60, [60]), (119, [119]), (120, [60, 120]), (150, [60, 150])]
)
def test_pieces_of_seed_003_are_60_to_120_s(seconds, ends):
    pieces = Seed003().segments(seconds * 100, 100)
    assert [piece.stop for piece in pieces] == [100 * end for end in ends]
    assert [piece.start for piece in pieces] == [0, *(100 * end for end in ends[:-1])]


def test_pieces_of_seed_003_are_plain_ratios_of_what_16_bits_hold():
    references = noise(2, 1, 3000)
    estimates = references + noise(2, 1, 3000, seed=1, rms=1e-4)
    found = Seed003(piece_seconds=1.0, least_energy=0.0).measure(references, estimates, references.sum(0), 1000)
    rounded = (32768 * estimates.double().numpy()).round() / 32768
    for i in range(3):
        true = references[..., 1000 * i : 1000 * (i + 1)].double().numpy()
        error = true - rounded[..., 1000 * i : 1000 * (i + 1)]
        expected = 10 * np.log10((true**2).sum((1, 2)) / (error**2).sum((1, 2)))
        np.testing.assert_allclose(found["sdr_pieces"][:, i], expected)


def test_the_submix_of_seed_003_is_heard_without_what_else_the_track_holds():
    assert Seed003Submix().mixture_is_sum
    assert not Seed003().mixture_is_sum
    facts = Seed003Submix().describe()
    assert {**facts, "name": "", "about": "", "mixture_is_sum": False} == {
        **Seed003().describe(),
        "name": "",
        "about": "",
    }


def test_quiet_and_silent_pieces_of_seed_003_are_dropped():
    references = noise(2, 1, 9000)
    references[0, :, 3000:6000] *= (19.9 / references[0, :, 3000:6000].square().sum()).sqrt()
    references[1, :, 3000:6000] *= (20.1 / references[1, :, 3000:6000].square().sum()).sqrt()
    references[0, :, 6000:] = 0
    estimates = 0.9 * references
    found = Seed003(piece_seconds=3.0).measure(references, estimates, references.sum(0), 1000)["sdr_pieces"]
    assert found.isnan().tolist() == [[False, True, True], [False, False, True]]


def test_every_protocol_says_what_it_is_in_plain_json():
    for name, protocol in PROTOCOLS.items():
        facts = json.loads(json.dumps(protocol.describe(), allow_nan=False))
        assert facts["name"] == name
        assert facts["metrics"]
    with pytest.raises(SoliError, match="unknown protocol 'sdr'; allowed: museval, global, msdm, seed003"):
        find_protocol("sdr")
