from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soli.data.cache import Cache, CacheWriter
from soli.errors import SoliError


def noise(seconds: float, n_channels: int = 2, level: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((n_channels, round(seconds * 44100)))).astype(np.float32)


def test_what_was_stored_comes_back_to_sixteen_bits(tmp_path: Path) -> None:
    first, second = noise(0.5), noise(0.3, seed=1)
    with CacheWriter(tmp_path) as writer:
        writer.add(first, collection="a", track="one", label="drums")
        writer.add(second, collection="a", track="one", label="bass")
    cache = Cache(tmp_path)
    for stem, audio in zip(cache.stems, (first, second), strict=True):
        read = cache.read(stem, 100, 5000)
        assert np.abs(read - audio[:, 100:5100]).max() <= np.abs(audio).max() / 32767


def test_beyond_the_end_there_is_silence(tmp_path: Path) -> None:
    with CacheWriter(tmp_path) as writer:
        writer.add(noise(0.1), collection="a", track="one", label="drums")
        writer.add(noise(0.1), collection="a", track="two", label="drums")
    cache = Cache(tmp_path)
    read = cache.read(cache.stems[0], 4000, 1000)
    assert np.abs(read[:, :410]).max() > 0
    assert np.abs(read[:, 410:]).max() == 0


def test_mono_fills_both_sides(tmp_path: Path) -> None:
    with CacheWriter(tmp_path) as writer:
        writer.add(noise(0.1, n_channels=1), collection="a", track="one", label="vocals")
    cache = Cache(tmp_path)
    left, right = cache.read(cache.stems[0], 0, 4410)
    np.testing.assert_array_equal(left, right)


def test_a_level_is_reached_over_the_active_part(tmp_path: Path) -> None:
    audio = noise(2.0)
    audio[:, 44100:] = 0
    with CacheWriter(tmp_path) as writer:
        writer.add(audio, collection="a", track="one", label="vocals", level_dbfs=-30.0)
    cache = Cache(tmp_path)
    rms = np.sqrt(np.mean(cache.read(cache.stems[0], 0, 44100) ** 2))
    assert 20 * np.log10(rms) == pytest.approx(-30, abs=0.1)


def test_an_interrupted_build_is_not_a_cache(tmp_path: Path) -> None:
    def build() -> None:
        with CacheWriter(tmp_path) as writer:
            writer.add(noise(0.1), collection="a", track="one", label="drums")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build()
    with pytest.raises(SoliError, match="no complete training cache"):
        Cache(tmp_path)


def test_a_failed_rebuild_leaves_the_old_cache_and_a_whole_one_replaces_it(tmp_path: Path) -> None:
    def build(seed: int, *, fails: bool) -> None:
        with CacheWriter(tmp_path) as writer:
            writer.add(noise(0.1 + seed, seed=seed), collection="a", track=f"song {seed}", label="drums")
            if fails:
                raise KeyboardInterrupt

    build(0, fails=False)
    names = sorted(path.name for path in tmp_path.iterdir())
    old = Cache(tmp_path)
    heard = old.read(old.stems[0], 0, 4410)
    with pytest.raises(KeyboardInterrupt):
        build(1, fails=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert Cache(tmp_path).stems == old.stems
    np.testing.assert_array_equal(Cache(tmp_path).read(old.stems[0], 0, 4410), heard)
    build(1, fails=False)
    assert [stem.track for stem in Cache(tmp_path).stems] == ["song 1"]
    np.testing.assert_array_equal(old.read(old.stems[0], 0, 4410), heard)  # it is still open
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def build() -> None:
        with CacheWriter(tmp_path / "new") as writer:
            writer.add(noise(0.1), collection="a", track="one", label="drums")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build()
    assert list(tmp_path.iterdir()) == []
