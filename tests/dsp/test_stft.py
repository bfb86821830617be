from __future__ import annotations

import math

import pytest
import torch

from soli.dsp.stft import istft, stft
from soli.errors import SoliError


@pytest.mark.parametrize("n_samples", [1, 511, 512, 4097])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(1024, 256), (1024, 512), (96, 20)])
def test_inverse_returns_the_waveform_at_its_exact_length(n_samples, n_fft, hop_length):
    waveform = torch.randn(2, 3, n_samples, dtype=torch.float64)
    spectrogram = stft(waveform, n_fft, hop_length)
    assert spectrogram.shape == (2, 3, n_fft // 2 + 1, math.ceil(n_samples / hop_length) + 1)
    restored = istft(spectrogram, n_fft, hop_length, n_samples)
    torch.testing.assert_close(restored, waveform, rtol=0, atol=1e-12)


def test_frame_is_the_windowed_fourier_sum_around_its_centre():
    n_fft, hop_length, frame, k = 64, 16, 5, 7
    waveform = torch.randn(400, dtype=torch.float64)
    position = torch.arange(n_fft, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * position / n_fft)
    excerpt = waveform[frame * hop_length - n_fft // 2 :][:n_fft] * window
    expected = (excerpt * torch.exp(-2j * math.pi * k * position / n_fft)).sum()
    torch.testing.assert_close(stft(waveform, n_fft, hop_length)[k, frame], expected)


def test_random_masks_make_no_spike_at_the_end():
    # one sample past a frame centre would see a single window's skirt, and dividing by it would explode
    waveform = torch.randn(16, 1024 + 511)
    spectrogram = stft(waveform, 1024, 512)
    masked = istft(spectrogram * torch.rand(spectrogram.shape), 1024, 512, waveform.shape[-1])
    assert masked.abs().max() < 2 * waveform.abs().max()


def test_half_precision_is_computed_in_single():
    assert stft(torch.randn(100).to(torch.bfloat16), 32, 8).dtype == torch.complex64


@pytest.mark.parametrize(("n_fft", "hop_length"), [(1023, 256), (1024, 513), (1024, 0), (0, 1)])
def test_what_cannot_be_inverted_is_refused(n_fft, hop_length):
    with pytest.raises(SoliError, match="="):
        stft(torch.zeros(5000), n_fft, hop_length)
