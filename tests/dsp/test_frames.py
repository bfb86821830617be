from __future__ import annotations

import pytest
import torch

from soli.dsp.frames import analyse, synthesise
from soli.dsp.stft import istft, stft


@pytest.mark.parametrize("n_samples", [1, 100, 1000, 4411])
def test_both_layouts_are_the_same_transform(n_samples: int) -> None:
    waveform = torch.randn(2, n_samples, dtype=torch.double)
    frames = analyse(waveform, 256, 64)
    torch.testing.assert_close(frames, stft(waveform, 256, 64).mT)
    changed = frames * frames.abs()  # no longer the transform of any waveform
    torch.testing.assert_close(synthesise(changed, 256, 64, n_samples), istft(changed.mT, 256, 64, n_samples))


@pytest.mark.parametrize("n_samples", [1, 63, 64, 1000])
def test_synthesis_inverts_analysis(n_samples: int) -> None:
    waveform = torch.randn(3, n_samples, dtype=torch.double)
    torch.testing.assert_close(synthesise(analyse(waveform, 256, 64), 256, 64, n_samples), waveform)


def test_written_gradient_is_the_numerical_one() -> None:
    spectrogram = torch.randn(1, 9, 5, dtype=torch.cdouble, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: synthesise(s, 8, 2, 15), (spectrogram,))
