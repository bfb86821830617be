from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
import pytest
import soundfile

from soli.report.sound import LONGEST_SECONDS, SONG_BUDGET, bit_rate, embed, encode


def decode(data: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    assert rate == 48000
    return samples.T


def noise(channels: int, seconds: float, rate: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    random = np.random.default_rng(0)
    return np.stack(
        [
            sum(np.sin(2 * np.pi * f * time + random.random()) for f in random.uniform(100, 3000, 8)) * 0.05
            for _ in range(channels)
        ]
    ) * (np.sin(2 * np.pi * 1.3 * time) > 0)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_a_track_comes_back_in_step(rate):
    track = noise(1, 2.0, rate)
    back = decode(encode(track, rate, 96000))
    assert back.shape == (1, 96000)
    import soxr

    original = soxr.resample(track[0], rate, 48000)
    correlations = [np.dot(original[200:-200], np.roll(back[0], -lag)[200:-200]) for lag in range(-100, 101)]
    assert abs(int(np.argmax(correlations)) - 100) <= 1
    error = back[0] - original
    assert np.square(error).sum() < 0.05 * np.square(original).sum()


def test_stereo_is_kept_where_the_bits_allow_it_and_folded_otherwise():
    track = noise(2, 1.0, 44100)
    assert len(decode(encode(track, 44100, 48000))) == 2
    assert len(decode(encode(track, 44100, 47999))) == 1
    assert len(decode(encode(noise(6, 0.2, 44100), 44100, 96000))) == 1


@pytest.mark.parametrize("bits", [32000, 64000, 96000])
def test_a_track_is_about_as_large_as_it_should_be(bits):
    random = np.random.default_rng(1)
    size = len(encode(0.1 * random.standard_normal((2, 5 * 44100)), 44100, bits))
    assert size == pytest.approx(5 * bits / 8, rel=0.2)


def test_the_bit_rate_is_what_the_budget_allows_within_limits():
    assert bit_rate(10, 5) == 96000
    assert bit_rate(LONGEST_SECONDS, 9) == 32000
    rate = bit_rate(180, 6)
    assert rate * 180 * 6 / 8 == pytest.approx(SONG_BUDGET, rel=1e-3)
    rate = bit_rate(20, 6, budget=900_000)
    assert rate * 20 * 6 / 8 == pytest.approx(900_000, rel=1e-3)


@pytest.mark.parametrize("n_tracks", [3, 9, 13, 25])
def test_half_a_minute_of_sound_stays_below_five_megabytes_of_base64(n_tracks):
    assert bit_rate(30, n_tracks) * 30 * n_tracks / 8 * 4 / 3 < 4.6e6  # the pictures take the rest


def test_a_three_minute_song_with_four_stems_stays_below_eight_megabytes_of_base64():
    assert bit_rate(180, 5) * 180 * 5 / 8 * 4 / 3 < 7.0e6  # the pictures take the rest


def test_embedded_files_are_base64_under_their_keys():
    sounds = embed({"a": noise(1, 0.1, 8000), "b": np.zeros((1, 800))}, 8000)
    assert list(sounds) == ["a", "b"]
    assert np.abs(decode(b64decode(sounds["b"]))).max() < 1e-3
    assert np.abs(decode(b64decode(sounds["a"]))).max() > 0.05


def test_full_scale_and_one_sample_can_be_encoded():
    assert decode(encode(np.ones((2, 1)), 44100, 96000)).shape[1] >= 1
    assert np.abs(decode(encode(2 * noise(1, 0.5, 44100) / 0.05, 44100, 96000))).max() < 1.6
