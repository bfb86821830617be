from __future__ import annotations

import fast_bss_eval
import mir_eval.separation
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import bss_eval, sdr_global

# Every measure of BSS Eval is a difference of large projections: agreement is asked for in dB, not relative.
CLOSE = {"rtol": 0.0, "atol": 1e-4}


def like_museval(museval, references, estimates, **options):
    arrays = (x.transpose(1, 2).numpy() for x in (references, estimates))
    return torch.from_numpy(np.stack(museval.bss_eval(*arrays, **options)[:4]))


@pytest.mark.parametrize(("mode", "window", "hop"), [("images", 4000, 4000), ("sources", 5000, 2000)])
def test_frames_equal_museval_with_silent_ones(museval, stereo, mode, window, hop):
    expected = like_museval(museval, *stereo, window=window, hop=hop, bsseval_sources_version=mode == "sources")
    found = torch.stack(bss_eval(*stereo, mode=mode, window=window, hop=hop))
    torch.testing.assert_close(found, expected, equal_nan=True, **CLOSE)
    silent = found[0].isnan()
    assert silent.any()
    assert not silent.all()


def solve_one_by_one(matrices: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Batches of large systems fail in torch 2.13 once its number of threads has been set."""
    if matrices.ndim == 2:
        return torch.linalg.solve(matrices, values)
    return torch.stack([solve_one_by_one(*pair) for pair in zip(matrices, values, strict=True)])


@pytest.mark.filterwarnings("ignore:mir_eval.separation:FutureWarning")
def test_whole_images_equal_mir_eval(stereo):
    arrays = (x.transpose(1, 2).numpy() for x in stereo)
    expected = mir_eval.separation.bss_eval_images(*arrays, compute_permutation=False)[:4]
    found = torch.stack(bss_eval(*stereo, window=None))[..., 0]
    torch.testing.assert_close(found, torch.from_numpy(np.stack(expected)), **CLOSE)


@pytest.mark.filterwarnings("ignore:mir_eval.separation:FutureWarning")
def test_whole_sources_equal_mir_eval_and_fast_bss_eval(mono, monkeypatch):
    found = bss_eval(*mono, mode="sources", window=None)
    assert found.isr.isnan().all()
    ours = torch.stack([found.sdr, found.sir, found.sar])[..., 0]
    references, estimates = (x[:, 0] for x in mono)
    expected = mir_eval.separation.bss_eval_sources(references.numpy(), estimates.numpy(), compute_permutation=False)
    torch.testing.assert_close(ours, torch.from_numpy(np.stack(expected[:3])), **CLOSE)
    monkeypatch.setattr("fast_bss_eval.torch.metrics.solve", solve_one_by_one)
    expected = fast_bss_eval.bss_eval_sources(references, estimates, compute_permutation=False)
    torch.testing.assert_close(ours, torch.stack(expected), **CLOSE)


def test_a_signal_of_many_blocks_equals_one_toeplitz_system():
    noise = np.random.default_rng(4)
    reference = scipy.signal.lfilter([1, 0.5], [1, -0.5], noise.standard_normal(200_000))
    estimate = scipy.signal.lfilter([0.5, 0.2], [1], reference) + 0.1 * noise.standard_normal(200_000)
    correlations = [
        scipy.signal.correlate(x, reference, method="fft")[len(reference) - 1 :][:512] for x in (reference, estimate)
    ]
    image = scipy.signal.fftconvolve(scipy.linalg.solve_toeplitz(*correlations), reference)
    reference, estimate = (np.pad(x, (0, 511)) for x in (reference, estimate))
    powers = [(x**2).sum() for x in (reference, image - reference, image, estimate - image)]
    found = bss_eval(*(torch.from_numpy(x[None, None, :200_000]) for x in (reference, estimate)), window=None)
    assert found.isr.item() == pytest.approx(10 * np.log10(powers[0] / powers[1]), abs=1e-6)
    assert found.sar.item() == pytest.approx(10 * np.log10(powers[2] / powers[3]), abs=1e-6)
    assert found.sir.item() == np.inf  # there is nobody else


def test_sdr_of_images_is_the_plain_ratio_of_each_frame(mono):
    found = bss_eval(*mono, window=3000, hop=2500).sdr
    assert found.shape == (3, 6)
    for n in range(6):
        frame = slice(2500 * n, 2500 * n + 3000)
        torch.testing.assert_close(found[:, n], sdr_global(*(x[..., frame] for x in mono)))


def test_permuted_sources_permute_the_results(mono):
    order = torch.tensor([2, 0, 1])
    found, permuted = bss_eval(*mono, window=4000), bss_eval(*(x[order] for x in mono), window=4000)
    for values, other in zip(found, permuted, strict=True):
        torch.testing.assert_close(values[order], other, equal_nan=True, **CLOSE)


def test_the_level_of_everything_does_not_matter(mono):
    for values, other in zip(
        bss_eval(*mono, window=8000), bss_eval(*(1e-5 * x for x in mono), window=8000), strict=True
    ):
        assert not values.isnan().any()
        torch.testing.assert_close(values, other, **CLOSE)


def test_a_filtered_reference_is_perfect_to_sources_and_spatially_distorted_to_images(mono):
    references = torch.nn.functional.pad(mono[0], (0, 600))  # the tails of all filters fit
    filtered = torch.from_numpy(scipy.signal.lfilter([0.3, 0.0, 0.4, -0.2], [1.0], references.numpy()))
    images = bss_eval(references, filtered, window=None)
    assert bss_eval(references, filtered, mode="sources", window=None).sdr.min() > 100
    assert images.sar.min() > 100
    assert images.sir.min() > 100
    assert images.isr.max() < 20
    torch.testing.assert_close(images.isr, images.sdr, **CLOSE)


def test_leakage_is_interference_and_noise_is_artefact(mono):
    references, _ = mono
    torch.manual_seed(0)
    leaking = bss_eval(references, references + 0.1 * references.roll(1, 0), window=None)
    noisy = bss_eval(references, references + 0.01 * torch.randn_like(references), window=None)
    assert leaking.sir.max() < leaking.sar.min() - 20
    assert noisy.sar.max() < noisy.sir.min()


def test_perfect_estimates_are_infinite_and_channels_that_repeat_change_nothing(mono):
    references, estimates = (x[:2] for x in mono)
    assert (bss_eval(references, references, window=4000).sdr == np.inf).all()
    twice = (x.expand(-1, 2, -1) for x in (references, estimates))
    torch.testing.assert_close(
        torch.stack(bss_eval(*twice, window=None)), torch.stack(bss_eval(references, estimates, window=None)), **CLOSE
    )


def test_a_channel_without_sound_does_not_spoil_the_others(mono):
    references, estimates = (torch.cat([x[:2], torch.zeros_like(x[:2])], dim=1) for x in mono)
    alone = bss_eval(*(x[:2] for x in mono), window=4000)
    for values, other in zip(bss_eval(references, estimates, window=4000), alone, strict=True):
        torch.testing.assert_close(values, other, **CLOSE)


def test_silence_in_one_source_takes_the_frame_from_all_and_a_silent_source_takes_everything(mono):
    references, estimates = (x.clone() for x in mono)
    estimates[0, :, :5000] = 0
    found = bss_eval(references, estimates, window=4000)
    assert all(values[:, 0].isnan().all() and values[:, 1:].isfinite().all() for values in found)
    references[2] = 0
    assert all(values.isnan().all() for values in bss_eval(references, estimates, window=4000))


def test_more_taps_than_samples_have_no_answer(mono):
    found = bss_eval(*(x[..., :1000] for x in mono), window=None)  # 3 x 512 taps against 1511 samples of image
    assert found.sdr.isfinite().all()
    assert found.isr.isfinite().all()
    assert found.sir.isnan().all()
    assert found.sar.isnan().all()
    assert bss_eval(*(x[..., :1] for x in mono), window=None).isr.isnan().all()
    assert bss_eval(*(x[..., :1] for x in mono), mode="sources", window=None).sdr.isnan().all()


def test_single_precision_is_computed_in_double(mono):
    single = [x.float() for x in mono]
    for values, other in zip(
        bss_eval(*single, window=4000), bss_eval(*(x.double() for x in single), window=4000), strict=True
    ):
        torch.testing.assert_close(values, other, rtol=0.0, atol=1e-9)


def test_a_window_longer_than_the_signal_is_the_signal(mono):
    whole, longer = (bss_eval(*mono, window=window) for window in (None, 10**9))
    assert whole.sdr.shape == (3, 1)
    torch.testing.assert_close(torch.stack(whole), torch.stack(longer))


def test_unequal_shapes_impossible_frames_and_samples_are_refused(mono):
    references, estimates = mono
    with pytest.raises(SoliError, match=r"\[3, 1, 16000\].*\[3, 1, 15999\].*\[S C T\]"):
        bss_eval(references, estimates[..., 1:], window=None)
    with pytest.raises(SoliError, match=r"\[S C T\]"):
        bss_eval(references[0], estimates[0], window=None)
    with pytest.raises(SoliError, match="hop=0"):
        bss_eval(references, estimates, window=10, hop=0)
    with pytest.raises(SoliError, match="NaN"):
        bss_eval(references, estimates * float("inf"), window=10)
    with pytest.raises(SoliError, match="mode='image'"):
        bss_eval(references, estimates, mode="image", window=10)
