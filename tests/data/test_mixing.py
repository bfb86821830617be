from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soli.data.cache import Cache, CacheWriter
from soli.data.mixing import Mixer, MixingConfig, batches
from soli.errors import SoliError

LABELS = ("vocals", "drums", "bass", "other")
PLAIN: dict[str, Any] = {"drop": 0.0, "gain_db": 0.0, "polarity": 0.0, "swap": 0.0, "speed": 0.0}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Two songs; stem k of song n is the constant 0.1 (k + 1) + 0.01 n, on the left only."""
    folder = tmp_path_factory.mktemp("cache")
    with CacheWriter(folder) as writer:
        for song in range(2):
            for position, label in enumerate(LABELS):
                audio = np.zeros((2, 44100), np.float32)
                audio[0] = 0.1 * (position + 1) + 0.01 * song
                writer.add(audio, collection=f"set{song}", track=f"song{song}", label=label)
    return Cache(folder)


def mixer(cache: Cache, **settings: Any) -> Mixer:
    return Mixer([cache], MixingConfig(segment_seconds=0.1, **{**PLAIN, **settings}))


def test_an_index_is_a_recipe(cache: Cache) -> None:
    one, two = mixer(cache, gain_db=6.0, speed=0.5), mixer(cache, gain_db=6.0, speed=0.5)
    np.testing.assert_array_equal(one.mixture(7), two.mixture(7))
    assert not np.array_equal(one.mixture(7), one.mixture(8))


def test_coherent_mixtures_are_of_one_song(cache: Cache) -> None:
    mixtures = [mixer(cache, coherent=1.0).mixture(index) for index in range(20)]
    songs = [np.round((mixture[:, 0, 0] - 0.1 * np.arange(1, 5)) * 100) for mixture in mixtures]
    assert all(len(set(song)) == 1 for song in songs)
    assert {song[0] for song in songs} == {0.0, 1.0}


def test_incoherent_mixtures_are_of_many(cache: Cache) -> None:
    mixtures = [mixer(cache, coherent=0.0).mixture(index) for index in range(20)]
    songs = [np.round((mixture[:, 0, 0] - 0.1 * np.arange(1, 5)) * 100) for mixture in mixtures]
    assert any(len(set(song)) == 2 for song in songs)


def test_weights_choose_the_collection(cache: Cache) -> None:
    only_second = mixer(cache, coherent=0.0, weights=(("set0", 0.0),))
    values = {round(float(only_second.mixture(index)[0, 0, 0]), 2) for index in range(10)}
    assert values == {0.11}


def test_gains_stay_within_their_range(cache: Cache) -> None:
    values = np.array([mixer(cache, gain_db=6.0).mixture(index)[1, 0, 0] for index in range(40)])
    assert values.min() >= 0.2 * 10 ** (-6 / 20) - 1e-4
    assert values.max() <= 0.21 * 10 ** (6 / 20) + 1e-4
    assert values.max() / values.min() > 1.5


def test_dropped_classes_are_silent(cache: Cache) -> None:
    assert np.abs(mixer(cache, drop=1.0).mixture(0)).max() == 0


def test_a_swap_moves_left_to_right(cache: Cache) -> None:
    mixture = mixer(cache, swap=1.0).mixture(0)
    assert np.abs(mixture[:, 0]).max() == 0
    assert np.abs(mixture[:, 1]).min() > 0


def test_faster_playing_raises_the_pitch(tmp_path: Path) -> None:
    seconds = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 1000 * seconds)[None].astype(np.float32)
    with CacheWriter(tmp_path) as writer:
        writer.add(tone, collection="a", track="one", label="bass")
    config = MixingConfig(sources=("bass",), segment_seconds=0.5, **{**PLAIN, "speed": 1.0})
    pitches = []
    for index in range(10):
        spectrum = np.abs(np.fft.rfft(Mixer([Cache(tmp_path)], config).mixture(index)[0, 0]))
        pitches.append(spectrum.argmax() * 2)
    assert 1000 / 1.15 - 4 <= min(pitches) < 980
    assert 1020 < max(pitches) <= 1150 + 4


def test_a_narrow_recording_narrows_the_whole_mixture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with CacheWriter(tmp_path) as writer:
        for label, bandwidth in (("vocals", 5000.0), ("drums", 22050.0)):
            audio = 0.1 * rng.standard_normal((2, 44100)).astype(np.float32)
            writer.add(audio, collection="a", track=label, label=label, bandwidth=bandwidth, coherent=False)
    config = MixingConfig(sources=("vocals", "drums"), segment_seconds=0.5, coherent=0.0, **PLAIN)
    spectrum = np.abs(np.fft.rfft(Mixer([Cache(tmp_path)], config).mixture(0)))
    assert spectrum[..., 2510:].max() < 1e-3 * spectrum[..., :2490].max()


def test_worker_process_delivers_the_same_mixtures_from_any_index(cache: Cache) -> None:
    drawn = mixer(cache, gain_db=6.0)
    got = list(islice(batches(drawn, batch_size=2, first=3, n_workers=1), 2))
    for position, mixture in enumerate(mixture for batch in got for mixture in batch):
        np.testing.assert_array_equal(mixture.numpy(), drawn.mixture(3 + position))


def test_a_copy_of_a_mixer_draws_the_same_mixtures(cache: Cache) -> None:
    drawn = mixer(cache, gain_db=6.0)
    copied = copy.deepcopy(drawn)  # what a worker process is given where processes cannot be forked
    np.testing.assert_array_equal(copied.mixture(4), drawn.mixture(4))


def test_unknown_collections_and_missing_classes_are_refused(cache: Cache) -> None:
    with pytest.raises(SoliError, match="no collection 'nothing' in the cache; there is set0, set1"):
        mixer(cache, weights=(("nothing", 1.0),))
    with pytest.raises(SoliError, match="no stem of class 'piano'"):
        mixer(cache, sources=("piano",))


def test_layers_sum_two_songs_of_a_class(cache: Cache) -> None:
    mixture = mixer(cache, coherent=0.0, layer=1.0).mixture(0)
    assert 2 * 0.1 * 0.7 - 1e-4 <= mixture[0, 0, 0] <= 2 * 0.11 * 0.7 + 1e-4


def test_panning_keeps_the_middle_within_its_balance(cache: Cache) -> None:
    for index in range(10):
        panned, plain = (mixer(cache, pan=pan).mixture(index)[2, :, 0] for pan in (1.0, 0.0))
        left, right = panned / plain[0]
        # the signal was on the left: narrowing moves part of it over, widening by 1.2 takes a tenth of it away
        assert -0.1 * left < right < left
    widths = {round(float(mixer(cache, pan=1.0).mixture(index)[2, 1, 0]), 4) for index in range(10)}
    assert len(widths) > 5


def test_an_equaliser_changes_levels_by_at_most_five_decibels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with CacheWriter(tmp_path) as writer:
        for label in ("vocals", "drums"):
            writer.add(0.1 * rng.standard_normal((2, 44100)).astype(np.float32), collection="a", track="t", label=label)
    settings: dict[str, Any] = {"sources": ("vocals", "drums"), "segment_seconds": 1.0, "coherent": 1.0, **PLAIN}
    flat, shaped = (
        np.abs(np.fft.rfft(Mixer([Cache(tmp_path)], MixingConfig(**settings, equalise=part)).mixture(0), axis=-1))
        for part in (0.0, 1.0)
    )
    change = 20 * np.log10(shaped[..., 1:-1] / flat[..., 1:-1])
    assert np.abs(change).max() <= 5.01
    assert change.std(axis=-1).min() > 0.1
    assert np.abs(change[0] - change[1]).max() > 1  # each stem has its own
