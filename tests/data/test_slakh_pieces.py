from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio_fakes import noise, save
from soli.data.build import DataSource, open_caches
from soli.data.layouts import open_dataset

METADATA = """
stems:
  S00: {program_num: 128, is_drum: true, inst_class: Drums, audio_rendered: true}
  S01: {program_num: 52, is_drum: false, inst_class: Ensemble, recipe: {instrument: voice}}
  S02: {program_num: 27, is_drum: false, inst_class: Guitar, recipe: {instrument: electric_guitar}}
  S03: {program_num: 29, is_drum: false, inst_class: Guitar}
"""
PIECES = ("kick", "hi_hat", "crash_1")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    folder = tmp_path / "songs" / "train" / "Track00001"
    for position, name in enumerate(
        [
            *(f"stems/S0{n}" for n in range(4)),
            *(f"pieces/S00_{piece}" for piece in PIECES),
            "overheads/S00",
            "mix",
        ]
    ):
        path = folder / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, noise(1, 8000, seed=position, scale=0.05), 8000)
    (folder / "metadata.yaml").write_text(METADATA)
    return tmp_path / "songs"


def test_kits_are_opened_in_pieces_with_their_overheads_and_voices_by_name(song: Path) -> None:
    (track,) = open_dataset(song, "slakh_pieces").tracks
    assert {name: stem.labels for name, stem in track.stems.items()} == {
        "S00_kick": ("drums", "kick"),
        "S00_hi_hat": ("drums", "hi_hat"),
        "S00_crash_1": ("drums", "crash_1"),
        "S00_overheads": ("drums", "overheads"),
        "S01": ("vocals",),
        "S02": ("guitar",),
        "S03": ("guitar",),
    }
    total = sum(track.read(name) for name in track.stems)
    np.testing.assert_allclose(track.mixture(), total, atol=1e-6)


def test_the_folder_is_taken_for_slakh_unless_asked_otherwise(song: Path) -> None:
    assert open_dataset(song).layout == "slakh"


def test_a_kit_without_pieces_stays_whole(song: Path) -> None:
    for path in song.rglob("pieces/*"):
        path.unlink()
    (track,) = open_dataset(song, "slakh_pieces").tracks
    assert track.stems["S00"].labels == ("drums",)
    assert not any("overheads" in name for name in track.stems)


def test_a_cache_keeps_every_stem_apart_where_asked(song: Path, tmp_path: Path) -> None:
    labels = {}
    for kind in ("coarse", "fine", "stems"):
        source = DataSource(collection=kind, kind="dataset", path=str(song), layout="slakh_pieces", labels=kind)
        (cache,) = open_caches(tmp_path / "cache", (source,), lambda line: None, sample_rate=8000, n_channels=1)
        labels[kind] = sorted(stem.label for stem in cache.stems)
    assert labels["coarse"] == ["drums", "guitar", "vocals"]
    assert labels["fine"] == sorted([*PIECES, "guitar", "overheads", "vocals"])
    assert labels["stems"] == sorted([*PIECES, "guitar", "guitar", "overheads", "vocals"])
