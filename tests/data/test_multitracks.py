from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soli.data.cache import Cache, CacheWriter
from soli.data.mixing import MultitrackConfig, MultitrackMixer, batches
from soli.errors import SoliError

RATE, LENGTH = 8000, 40000
PLAIN: dict[str, Any] = {"gain_db": 0.0, "polarity": 0.0, "speed": 0.0}


def ramp(number: int, n_samples: int = LENGTH) -> np.ndarray:
    """A stem whose samples tell which stem and where: level `number + 1` of 10, rising a little with time."""
    return (0.05 * (number + 1) + 0.02 * np.arange(n_samples) / n_samples)[None].astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Three songs of four stems, two of them of one class; a solo; the second song has a silent stem too."""
    folder = tmp_path_factory.mktemp("multitracks")
    with CacheWriter(folder, sample_rate=RATE, n_channels=1) as writer:
        for song in range(3):
            for number, label in enumerate(("kick", "guitar", "guitar", "voice")):
                writer.add(ramp(number), collection="songs", track=f"song{song}", label=label)
        writer.add(np.zeros((1, LENGTH), np.float32), collection="songs", track="song1", label="brass")
        writer.add(ramp(7), collection="solos", track="a", label="voice", coherent=False)
    return Cache(folder)


def mixer(cache: Cache, **settings: Any) -> MultitrackMixer:
    return MultitrackMixer([cache], MultitrackConfig(segment_seconds=0.5, most=5, **{**PLAIN, **settings}))


def test_each_example_is_another_excerpt_of_its_stem(cache: Cache) -> None:
    for index in range(30):
        recipe = mixer(cache).draw(index)
        stems, examples = recipe.stems[:5], recipe.stems[5:]
        for stem, example in zip(stems, examples, strict=True):
            assert bool(stem.excerpts) == bool(example.excerpts)
            if stem.excerpts:
                one, other = stem.excerpts[0], example.excerpts[0]
                assert (one.track, one.label, one.take) == (other.track, other.label, other.take)
                assert abs(one.start - other.start) >= 4000


def test_samples_are_those_of_the_recipe_and_places_without_a_stem_are_silent(cache: Cache) -> None:
    drawn = mixer(cache)
    for index in range(10):
        both, recipe = drawn.mixture(index), drawn.draw(index)
        assert both.shape == (2, 5, 1, 4000)
        for audio, stem in zip(both.reshape(10, 1, 4000), recipe.stems, strict=True):
            if not stem.excerpts:
                assert not audio.any()
                continue
            part = stem.excerpts[0]
            number = {"kick": 0, "guitar": 1 + part.take, "voice": 7 if part.collection == "solos" else 3}[part.label]
            np.testing.assert_allclose(audio, ramp(number)[:, part.start : part.start + 4000], atol=1e-4)


def test_a_coherent_mixture_is_of_one_song_at_one_moment_and_another_of_several(cache: Cache) -> None:
    for coherent in (1.0, 0.0):
        seen = []
        for index in range(30):
            parts = [
                stem.excerpts[0] for stem in mixer(cache, coherent=coherent).draw(index).stems[:5] if stem.excerpts
            ]
            assert len({(part.track, part.label, part.take, part.start) for part in parts}) >= 1
            seen.append(len({(part.track, part.start) for part in parts}))
            assert not any(part.label == "brass" for part in parts)  # silent
        assert (max(seen) == 1) == (coherent == 1.0)


def test_equal_indices_give_equal_mixtures_for_any_number_of_workers(cache: Cache) -> None:
    drawn = mixer(cache, gain_db=6.0, polarity=0.5, speed=0.5)
    for n_workers in (0, 1):
        stream = batches(drawn, batch_size=2, first=3, n_workers=n_workers)
        for first in (3, 5):
            due = np.stack([drawn.mixture(first), drawn.mixture(first + 1)])
            np.testing.assert_array_equal(next(stream).numpy(), due)
    assert mixer(cache).draw(1) != mixer(cache).draw(2)


def test_sizes_are_between_the_fewest_and_the_most(cache: Cache) -> None:
    drawn = mixer(cache, fewest=2, coherent=1.0)
    sizes = {sum(bool(stem.excerpts) for stem in drawn.draw(index).stems[:5]) for index in range(60)}
    assert sizes == {2, 3, 4}


def test_a_recording_too_short_for_two_excerpts_gives_the_two_farthest_apart(tmp_path: Path) -> None:
    with CacheWriter(tmp_path, sample_rate=RATE, n_channels=1) as writer:
        for number in range(3):
            writer.add(ramp(number, 5000), collection="a", track="one", label=f"{number}")
    config = MultitrackConfig(segment_seconds=0.5, **PLAIN)
    recipe = MultitrackMixer([Cache(tmp_path)], config).draw(0)
    stem, example = recipe.stems[0].excerpts[0], recipe.stems[config.most].excerpts[0]
    assert example.start == (0 if stem.start > 500 else 1000)


def test_collections_without_weight_are_never_drawn(cache: Cache) -> None:
    drawn = mixer(cache, weights=(("solos", 0.0),), coherent=0.0)
    found = {stem.excerpts[0].collection for i in range(30) for stem in drawn.draw(i).stems if stem.excerpts}
    assert found == {"songs"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coherent": 2.0}, r"multitracks.coherent = 2.0; allowed: 0 to 1"),
        ({"speed_range": 0.5}, r"multitracks.speed_range = 0.5; allowed: at least 1"),
        ({"fewest": 9}, r"9 to 5 stems; allowed: 1 or more, fewest to most"),
        ({"weights": (("nobody", 1.0),)}, r"no collection 'nobody' in the cache"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(cache: Cache, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        mixer(cache, **settings)


def test_a_song_is_flipped_as_a_whole_and_solos_one_by_one(cache: Cache) -> None:
    """A flipped kick would cancel in the overheads that hear it."""
    seen = set()
    for coherent in (1.0, 0.0):
        drawn = mixer(cache, polarity=0.5, coherent=coherent, full=1.0)
        signs = [{stem.inverted for stem in drawn.draw(index).stems[:5] if stem.excerpts} for index in range(30)]
        assert any(len(found) == 2 for found in signs) == (coherent == 0.0)
        seen |= {frozenset(found) for found in signs}
    assert {frozenset({True}), frozenset({False})} <= seen


def test_full_mixtures_have_all_that_sounds(cache: Cache) -> None:
    drawn = mixer(cache, full=1.0)
    sizes = {sum(bool(stem.excerpts) for stem in drawn.draw(index).stems[:5]) for index in range(30)}
    assert sizes == {4}
