from __future__ import annotations

import pytest
import torch

from soli.nn.mel_frontend import MelFrontEnd


@pytest.fixture(scope="module")
def front_end():
    return MelFrontEnd(16000, 1024, 256, 40)


def test_features_do_not_depend_on_loudness(front_end):
    magnitude = front_end.spectrogram(torch.randn(2, 8000)).abs()
    torch.testing.assert_close(front_end.features(100 * magnitude), front_end.features(magnitude), atol=1e-4, rtol=0)


def test_features_whiten_the_bins_before_the_bands(front_end):
    magnitude = front_end.spectrogram(torch.randn(1, 8000)).abs()
    level = 20 * (magnitude / magnitude.max()).clamp(min=1e-4).log10()
    expected = (level - level.mean()) / level.std(correction=0) @ front_end.filterbank.T
    torch.testing.assert_close(front_end.features(magnitude), expected, atol=1e-4, rtol=0)


def test_each_item_is_whitened_on_its_own(front_end):
    magnitude = front_end.spectrogram(torch.randn(3, 8000) * torch.tensor([[1.0], [5.0], [0.1]])).abs()
    together = front_end.features(magnitude)
    torch.testing.assert_close(together[1:2], front_end.features(magnitude[1:2]))


def test_masks_of_one_give_back_what_the_filters_see(front_end):
    seconds = torch.arange(8000) / 16000
    waveform = torch.sin(2 * torch.pi * 440 * seconds)[None]
    spectrogram = front_end.spectrogram(waveform)
    masks = torch.ones(1, 1, spectrogram.shape[1], 40)
    restored = front_end.synthesise(masks, spectrogram, 8000)
    torch.testing.assert_close(restored[:, 0, 600:-600], waveform[:, 600:-600], rtol=0, atol=1e-3)


def test_sources_add_up_before_the_magnitude_is_taken(front_end):
    stems = torch.randn(2, 3, 2, 4000)
    mixture, sources = front_end.mono_magnitudes(stems)
    torch.testing.assert_close(mixture, front_end.spectrogram(stems.sum(dim=1).mean(dim=1)).abs(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sources, front_end.spectrogram(stems.mean(dim=2)).abs(), rtol=1e-4, atol=1e-4)


def test_matrices_are_not_stored_in_checkpoints(front_end):
    assert not front_end.state_dict()
