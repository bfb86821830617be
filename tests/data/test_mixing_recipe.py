from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import torch

from soli.config import from_dict, to_dict
from soli.data.cache import Cache, CacheWriter
from soli.data.mixing import PAPER_MIXING, Mixer, MixingConfig, MixRecipe
from soli.errors import SoliError

LABELS = ("vocals", "drums", "bass", "other")
PLAIN: dict[str, Any] = {"drop": 0.0, "gain_db": 0.0, "polarity": 0.0, "swap": 0.0, "speed": 0.0}
ALL = MixingConfig(
    segment_seconds=0.5,
    coherent=0.5,
    drop=0.2,
    speed=0.5,
    tempo=0.5,
    pitch=0.5,
    layer=0.5,
    pan=0.5,
    equalise=0.5,
    tilt=0.5,
    reverb=0.5,
    equal_loudness=True,
    loudness="lufs",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Four songs of noise, 2 s long; the last has two takes of `other` and no vocals; one recording is narrow."""
    folder, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    with CacheWriter(folder) as writer:
        for song in range(4):
            labels = LABELS if song < 3 else ("drums", "bass", "other", "other")
            for label in labels:
                audio = 0.1 * rng.standard_normal((2, 88200)).astype(np.float32)
                writer.add(audio, collection=f"set{song % 2}", track=f"song{song}", label=label)
        audio = 0.1 * rng.standard_normal((2, 88200)).astype(np.float32)
        writer.add(audio, collection="solo", track="a", label="bass", bandwidth=5000.0, coherent=False)
    return Cache(folder)


def mixer(cache: Cache, **settings: Any) -> Mixer:
    return Mixer([cache], MixingConfig(segment_seconds=0.2, **{**PLAIN, **settings}))


def sounding(recipe: MixRecipe) -> tuple[str, ...]:
    return tuple(stem.source for stem in recipe.stems if stem.excerpts)


def test_a_mixture_is_its_recipe_carried_out(cache: Cache) -> None:
    drawn = Mixer([cache], ALL)
    for index in range(6):
        np.testing.assert_array_equal(drawn.apply(drawn.draw(index)), drawn.mixture(index))


def test_a_recipe_read_from_json_gives_the_same_samples(cache: Cache) -> None:
    drawn, other = Mixer([cache], ALL), mixer(cache)
    for index in range(12):
        recipe = drawn.draw(index)
        read = from_dict(MixRecipe, json.loads(json.dumps(to_dict(recipe))))
        assert read == recipe
        np.testing.assert_array_equal(other.apply(read), drawn.apply(recipe))  # whatever that mixer would draw


def test_recipes_of_all_effects_are_drawn(cache: Cache) -> None:
    recipes = [Mixer([cache], ALL).draw(index) for index in range(60)]
    stems = [stem for recipe in recipes for stem in recipe.stems if stem.excerpts]
    excerpts = [excerpt for stem in stems for excerpt in stem.excerpts]
    assert {recipe.coherent for recipe in recipes} == {recipe.swapped for recipe in recipes} == {True, False}
    assert {stem.inverted for stem in stems} == {True, False}
    assert all(abs(stem.gain_db) <= 4 and abs(stem.tilt_db) <= 1 for stem in stems)
    for part in (0.3, 0.7):  # each has a probability of one half
        for of_stem in (lambda s: s.room, lambda s: s.equaliser_db, lambda s: s.tilt_db, lambda s: s.width != 1):
            assert (sum(bool(of_stem(stem)) for stem in stems) > part * len(stems)) == (part < 0.5)
    assert {excerpt.pitch == excerpt.tempo for excerpt in excerpts} == {True, False}
    assert 1 / 1.15 / 1.1 <= min(excerpt.tempo for excerpt in excerpts) < 0.9
    assert 1.1 < max(excerpt.pitch for excerpt in excerpts) <= 1.15 * 2 ** (2 / 12)


def test_samples_do_not_depend_on_the_number_of_threads(cache: Cache) -> None:
    drawn, before = Mixer([cache], ALL), torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append([drawn.mixture(index) for index in range(4)])
    finally:
        torch.set_num_threads(before)
    for one, two, three in zip(*made, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


def test_a_song_plays_from_one_moment_at_one_speed(cache: Cache) -> None:
    drawn = mixer(cache, coherent=1.0, tempo=1.0, pitch=1.0)
    for index in range(10):
        stems = [stem.excerpts[0] for stem in drawn.draw(index).stems if stem.excerpts]
        of_song = [excerpt for excerpt in stems if excerpt.track == stems[1].track]
        assert len(of_song) >= 3
        assert len({(excerpt.start, excerpt.tempo, excerpt.pitch) for excerpt in of_song}) == 1


def test_stems_are_linear_and_their_sum_is_the_mixture(cache: Cache) -> None:
    settings = {"tilt": 1.0, "equalise": 1.0, "reverb": 1.0, "pan": 1.0, "tempo": 1.0, "coherent": 0.0}
    drawn = mixer(cache, **settings)
    recipe = drawn.draw(3)
    stems = drawn.apply(recipe)
    alone = [
        drawn.apply(replace(recipe, stems=tuple(s if s is stem else replace(s, excerpts=()) for s in recipe.stems)))
        for stem in recipe.stems
    ]
    np.testing.assert_allclose(np.sum(alone, axis=0), stems, atol=1e-6)
    np.testing.assert_allclose(sum(one.sum(axis=0) for one in alone), stems.sum(axis=0), atol=1e-6)
    louder = replace(recipe, stems=tuple(replace(stem, gain_db=6.0, inverted=True) for stem in recipe.stems))
    np.testing.assert_allclose(drawn.apply(louder), -stems * 10 ** (6 / 20), atol=1e-5)


def chi_square(counts: Counter[Any], odds: dict[Any, float]) -> float:
    total = sum(counts.values())
    assert set(counts) <= set(odds)
    return sum((counts[key] - total * odds[key]) ** 2 / (total * odds[key]) for key in odds)


def test_uniform_subsets_are_all_non_empty_subsets_equally_often(cache: Cache) -> None:
    drawn = mixer(cache, subsets="uniform", coherent=0.0, drop=1.0)
    counts = Counter(sounding(drawn.draw(index)) for index in range(900))
    keys = {tuple(n for k, n in enumerate(LABELS) if bits >> k & 1) for bits in range(1, 16)}
    assert chi_square(counts, dict.fromkeys(keys, 1 / 15)) < 36.1  # 14 degrees of freedom, p = 0.001


def test_subsets_by_size_have_all_sizes_equally_often_and_all_classes(cache: Cache) -> None:
    drawn = mixer(cache, subsets="by_size", coherent=0.0)
    subsets = [sounding(drawn.draw(index)) for index in range(800)]
    assert chi_square(Counter(len(subset) for subset in subsets), dict.fromkeys(range(1, 5), 1 / 4)) < 16.3
    alone = Counter(subset[0] for subset in subsets if len(subset) == 1)
    assert chi_square(alone, dict.fromkeys(LABELS, 1 / 4)) < 16.3  # 3 degrees of freedom, p = 0.001


def test_no_more_classes_sound_than_are_allowed(cache: Cache) -> None:
    drawn = mixer(cache, subsets="by_size", coherent=0.0, largest=2)
    subsets = [sounding(drawn.draw(index)) for index in range(400)]
    assert chi_square(Counter(len(subset) for subset in subsets), {1: 1 / 2, 2: 1 / 2}) < 10.8


@pytest.mark.parametrize(("fill", "expected"), [(0.0, {3}), (1.0, {4})])
def test_what_a_song_lacks_is_filled_in_as_often_as_is_said(cache: Cache, fill: float, expected: set[int]) -> None:
    drawn = mixer(cache, coherent=1.0, fill=fill)
    recipes = [drawn.draw(index) for index in range(60)]
    lacking = [r for r in recipes if any(e.track == "song3" for stem in r.stems for e in stem.excerpts)]
    lacking = [r for r in lacking if r.stems[3].excerpts[0].track == "song3"]
    assert {len(sounding(recipe)) for recipe in lacking} == expected


def test_subsets_of_a_song_never_leave_silence(cache: Cache) -> None:
    drawn = mixer(cache, subsets="uniform", coherent=1.0)
    assert all(sounding(drawn.draw(index)) for index in range(100))


def test_songs_without_any_class_that_is_asked_for_are_passed_over(tmp_path: Path) -> None:
    with CacheWriter(tmp_path) as writer:
        for track, labels in (("one", ("bass", "other")), ("two", ("vocals", "drums"))):
            for label in labels:
                writer.add(np.full((2, 44100), 0.1, np.float32), collection="a", track=track, label=label)
    drawn = mixer(Cache(tmp_path), sources=("vocals",), subsets="uniform", coherent=1.0)
    assert all(sounding(drawn.draw(index)) == ("vocals",) for index in range(20))


def test_classes_are_dropped_as_often_as_asked(cache: Cache) -> None:
    drawn = mixer(cache, drop=0.3, coherent=0.0)
    missing = sum(4 - len(sounding(drawn.draw(index))) for index in range(500))
    assert missing == pytest.approx(0.3 * 2000, abs=4 * np.sqrt(2000 * 0.3 * 0.7))


def test_half_the_time_what_a_song_lacks_comes_from_elsewhere(cache: Cache) -> None:
    recipes = [mixer(cache, coherent=1.0).draw(index) for index in range(300)]
    without = [recipe for recipe in recipes if recipe.stems[1].excerpts[0].track == "song3"]
    filled = [recipe for recipe in without if recipe.stems[0].excerpts]
    assert len(without) > 40
    assert len(filled) == pytest.approx(len(without) / 2, abs=4 * np.sqrt(len(without)) / 2)
    assert all(recipe.stems[0].excerpts[0].track != "song3" for recipe in filled)


def test_silent_excerpts_are_drawn_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with CacheWriter(tmp_path) as writer:
        for track in range(10):  # every second recording is silent
            audio = (track % 2) * 0.1 * rng.standard_normal((2, 44100)).astype(np.float32)
            writer.add(audio, collection="a", track=f"{track}", label="bass")
    drawn = Mixer([Cache(tmp_path)], MixingConfig(sources=("bass",), segment_seconds=0.2, **PLAIN))
    silent = sum(int(drawn.draw(index).stems[0].excerpts[0].track) % 2 == 0 for index in range(300))
    assert silent / 300 == pytest.approx(0.5**5, abs=0.04)


@pytest.mark.parametrize(("start", "tempo"), [(0, 1.0), (50000, 1.3), (84000, 1.0)])
def test_the_level_of_an_excerpt_is_that_of_its_samples(cache: Cache, start: int, tempo: float) -> None:
    drawn = mixer(cache, coherent=0.0)
    excerpt = replace(drawn.draw(0).stems[1].excerpts[0], start=start, tempo=tempo)
    samples = drawn.library.read(excerpt, 8820)  # the last one ends in silence
    due = 10 * np.log10(np.mean(samples**2))
    assert drawn.library.level(excerpt, 8820) == pytest.approx(due, abs=0.3)


def test_only_what_sounds_narrows_the_mixture(cache: Cache) -> None:
    drawn = mixer(cache, coherent=0.5, drop=0.3)
    narrow = 0
    for index in range(100):
        recipe = drawn.draw(index)
        solo = any(excerpt.collection == "solo" for stem in recipe.stems for excerpt in stem.excerpts)
        assert recipe.bandwidth == (5000.0 if solo else 22050.0)
        narrow += solo
    assert 0 < narrow < 100


def test_a_finite_set_of_mixtures_comes_again(cache: Cache) -> None:
    drawn = mixer(cache, n_mixtures=3)
    assert drawn.draw(7) == drawn.draw(1) == drawn.draw(4)
    assert drawn.draw(0) != drawn.draw(1)


def test_the_papers_mixtures_are_mono_incoherent_complete_and_equally_loud(cache: Cache) -> None:
    drawn = Mixer([cache], replace(PAPER_MIXING["train"], segment_seconds=1.5))
    meter = pyloudnorm.Meter(44100, filter_class="DeMan")
    for index in range(4):
        recipe, stems = drawn.draw(index), drawn.mixture(index)
        assert sounding(recipe) == LABELS
        assert stems.shape == (4, 1, 66150)
        assert not recipe.coherent
        assert {excerpt.tempo * excerpt.pitch for stem in recipe.stems for excerpt in stem.excerpts} == {1.0}
        for stem in stems:
            assert meter.integrated_loudness(stem.T.astype(np.float64)) == pytest.approx(-25.0, abs=0.2)
    assert [PAPER_MIXING[split].n_mixtures for split in ("train", "validation")] == [20000, 2000]
    assert round(PAPER_MIXING["train"].segment_seconds * 44100) == 141120


def test_a_second_take_of_a_class_has_a_name_of_its_own(cache: Cache) -> None:
    excerpts = [mixer(cache, coherent=0.0).draw(index).stems[3].excerpts[0] for index in range(60)]
    last = {excerpt.take for excerpt in excerpts if excerpt.track == "song3"}
    assert last == {0, 1}
    assert {excerpt.take for excerpt in excerpts if excerpt.track != "song3"} == {0}


def test_a_recipe_of_another_cache_is_one_clear_line(cache: Cache, tmp_path: Path) -> None:
    recipe = mixer(cache, coherent=0.0).draw(0)
    with CacheWriter(tmp_path) as writer:
        for label in LABELS:
            writer.add(np.full((2, 9000), 0.1, np.float32), collection="mine", track="one", label=label)
    with pytest.raises(SoliError, match=r"no recording \w+/\w+/vocals/0 in the cache; the mixture was drawn from"):
        mixer(Cache(tmp_path)).apply(recipe)


def small_cache(folder: Path, **format: int) -> Cache:
    with CacheWriter(folder, **format) as writer:
        for position, label in enumerate(LABELS):
            audio = 0.1 * (position + 1) * np.ones((1, 2 * writer.sample_rate), np.float32)
            writer.add(audio, collection="small", track="one", label=label)
    return Cache(folder)


def test_mixtures_have_the_rate_of_the_cache_and_mono_caches_do(tmp_path: Path) -> None:
    mono = small_cache(tmp_path / "mono", sample_rate=16000, n_channels=1)
    one, two = mixer(mono, mono=True, polarity=1.0), mixer(mono, pan=1.0)
    assert one.draw(0).sample_rate == 16000
    np.testing.assert_allclose(one.mixture(0), -0.1 * np.arange(1, 5)[:, None, None] * np.ones((1, 1, 3200)), atol=1e-4)
    left, right = two.mixture(0)[:, :, 0].T
    np.testing.assert_allclose(left * right, (0.1 * np.arange(1, 5)) ** 2, rtol=1e-3)  # only the balance has changed
    assert np.abs(left / right - 1).min() > 1e-3
    assert Mixer([mono], replace(ALL, mono=True)).mixture(0).shape == (4, 1, 8000)
    assert mixer(mono, coherent=0.0).library.level(one.draw(0).stems[0].excerpts[0], 100) == pytest.approx(-20, abs=0.4)


def test_caches_and_recipes_of_other_rates_are_refused(cache: Cache, tmp_path: Path) -> None:
    other = small_cache(tmp_path, sample_rate=16000)
    with pytest.raises(SoliError, match=r"caches of one rate and number of channels are needed; .*44100 Hz.*16000 Hz"):
        Mixer([cache, other], MixingConfig())
    with pytest.raises(SoliError, match="of 44100 Hz cannot be made from recordings of 16000 Hz"):
        mixer(other).apply(mixer(cache).draw(0))
    with pytest.raises(SoliError, match="no training cache to mix from"):
        Mixer([], MixingConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reverb": 1.5}, r"mixing.reverb = 1.5; allowed: 0 to 1"),
        ({"drop": float("nan")}, r"mixing.drop = nan; allowed: 0 to 1"),
        ({"tempo_range": 0.9}, r"mixing.tempo_range = 0.9; allowed: at least 1"),
        ({"segment_seconds": 0.0}, r"mixing.segment_seconds = 0.0; allowed: more than 0"),
        ({"sources": ()}, r"mixing.sources is empty"),
        ({"weights": (("set0", -1.0),)}, r"weight -1.0 of collection 'set0'; allowed: 0 or more"),
        ({"weights": tuple((n, 0.0) for n in ("set0", "set1", "solo"))}, "the cache has no stem of class 'vocals'"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(cache: Cache, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        Mixer([cache], MixingConfig(**settings))
