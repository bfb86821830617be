from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset

from audio_fakes import noise
from data_trees import musdb, parts, slakh, with_mixture, write
from soli.data.layouts import open_dataset
from soli.data.shards import read_index, read_shard, write_shards
from soli.data.shards import write as writing
from soli.data.tracks import Dataset, Track
from soli.errors import SoliError
from soli.parallel import open_engine
from soli.parallel.engine import InProcess


@pytest.fixture
def songs(tmp_path) -> Dataset:
    """Nine tracks of Slakh."""
    for number in range(1, 10):
        slakh(tmp_path / "slakh" / "train" / f"Track{number:05d}")
    return open_dataset(tmp_path / "slakh")


def shard(dataset: Dataset, url: str | Path, n_bytes: int = 150_000, engine=None) -> list[Track]:
    index = write_shards(dataset.tracks, str(url), engine or InProcess(), n_bytes=n_bytes)
    return [track for shard in index.shards for track in read_shard(f"{url}/{shard.name}")]


def same(found: Track, track: Track) -> None:
    assert (found.name, found.split, found.silent) == (track.name, track.split, track.silent)
    assert (found.sample_rate, found.n_channels, found.n_samples) == (
        track.sample_rate,
        track.n_channels,
        track.n_samples,
    )
    assert {name: stem.labels for name, stem in found.stems.items()} == {
        name: stem.labels for name, stem in track.stems.items()
    }
    for name in track.stems:
        np.testing.assert_array_equal(found.read(name), track.read(name))
        np.testing.assert_array_equal(found.read(name, 100, 50), track.read(name, 100, 50))
    np.testing.assert_array_equal(found.mixture(), track.mixture())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_tracks_come_back_with_every_sample_label_and_fact(songs, tmp_path) -> None:
    found = shard(songs, tmp_path / "out")
    assert len(found) == 9
    for one, other in zip(found, songs.tracks, strict=True):
        same(one, other)
        assert one.metadata["stems"]["S02"]["program_num"] == 33
        np.testing.assert_array_equal(one.submix("guitar"), other.submix("guitar"))
        assert not one.submix("piano").any()  # silence in this layout


def test_flac_files_are_copied_byte_by_byte(songs, tmp_path) -> None:
    shard(songs, tmp_path / "out", 10**9)
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        member = tar.extractfile("000000_track00001.s02.flac")
        assert member is not None
        assert member.read() == (tmp_path / "slakh/train/Track00001/stems/S02.flac").read_bytes()


def test_wav_of_any_depth_keeps_its_samples(tmp_path) -> None:
    time = np.arange(4000) / 8000
    for subtype in ("PCM_16", "PCM_24"):
        folder = tmp_path / "songs" / subtype
        folder.mkdir(parents=True)
        for name, pitch in (("vocals", 200), ("drums", 300)):
            soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * pitch * time), 8000, subtype)
    dataset = open_dataset(tmp_path / "songs")
    for one, other in zip(shard(dataset, tmp_path / "out"), dataset.tracks, strict=True):
        same(one, other)


def test_lossy_stems_are_kept_to_16_bits(tmp_path) -> None:
    dataset = open_dataset(musdb(tmp_path / "musdb", {"A - B": "train"}))
    (found,) = shard(dataset, tmp_path / "out")
    for name in ("vocals", "bass"):
        true = dataset.tracks[0].read(name)
        assert 0 < np.abs(found.read(name)[:, : true.shape[1]] - true).max() <= 2**-15


def test_floats_beyond_full_scale_are_counted(tmp_path) -> None:
    (tmp_path / "songs/a").mkdir(parents=True)
    for name, peak in (("vocals", 1.5), ("bass", 0.5)):
        soundfile.write(tmp_path / f"songs/a/{name}.wav", np.array([0.0, peak, -peak, 0.1]), 8000, "FLOAT")
    dataset = open_dataset(tmp_path / "songs")
    assert write_shards(dataset.tracks, str(tmp_path / "out"), InProcess()).shards[0].clipped == 2


def test_names_that_a_tar_file_cannot_hold_are_replaced_and_come_back(tmp_path) -> None:
    stems = parts(("Lead Vox. (1)", "lead vox_ _1", "é", "json"))
    write(tmp_path / "songs" / "Söng. No. 1 - live/at night", stems)
    (track,) = open_dataset(tmp_path / "songs", "stems").tracks
    (found,) = shard(open_dataset(tmp_path / "songs", "stems"), tmp_path / "out")
    same(found, track)
    with tarfile.open(tmp_path / "out/shard-000000.tar") as tar:
        assert all(name.isascii() and name.count("/") == 0 for name in tar.getnames())
        assert len(set(tar.getnames())) == 5


def test_the_index_counts_and_hashes_what_is_there(songs, tmp_path) -> None:
    shard(songs, tmp_path / "out")
    index = read_index(str(tmp_path / "out"))
    assert index.n_tracks == 9
    assert len(index.shards) > 2
    assert index.seconds == pytest.approx(9 * 0.5)
    assert {name for name in content(tmp_path / "out") if name != "index.json"} == {s.name for s in index.shards}
    for one in index.shards:
        stored = (tmp_path / "out" / one.name).read_bytes()
        assert hashlib.sha256(stored).hexdigest() == one.sha256
        assert len(stored) == one.n_bytes <= 150_000 + 10 * 1024 * len(one.tracks) + 10240  # headers of tar


def test_a_store_gets_the_same_bytes_as_a_folder(songs, tmp_path) -> None:
    import fsspec

    shard(songs, tmp_path / "out")
    found = shard(songs, "memory://bucket/songs")
    for one, other in zip(found, songs.tracks, strict=True):
        same(one, other)
    stored = fsspec.filesystem("memory")
    there = {path.rpartition("/")[2]: stored.cat(path) for path in stored.ls("/bucket/songs", detail=False)}
    stored.rm("/bucket", recursive=True)
    assert there == content(tmp_path / "out")


def test_bytes_do_not_depend_on_the_engine(songs, tmp_path) -> None:
    shard(songs, tmp_path / "one")
    with open_engine("local", n_workers=2) as engine:
        shard(songs, tmp_path / "two", engine=engine)
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize("stopped_at", [0, 1, 3])
def test_an_interrupted_run_is_gone_on_with_and_gives_the_same_bytes(songs, tmp_path, monkeypatch, stopped_at) -> None:
    shard(songs, tmp_path / "whole")
    written = []

    def stop(track: Track, scratch: Path) -> object:
        if len(written) == 2 * stopped_at + 1:
            raise KeyboardInterrupt
        written.append(track.name)
        return pack(track, scratch)

    pack = writing.pack
    monkeypatch.setattr(writing, "pack", stop)
    with pytest.raises(KeyboardInterrupt):
        shard(songs, tmp_path / "out")
    assert not [name for name in content(tmp_path / "out") if name.endswith(".part")]
    with pytest.raises(SoliError, match="not complete"):
        read_index(str(tmp_path / "out"))
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in content(tmp_path / "out")}
    (tmp_path / "out" / ".shard-000001.tar.0123abcd.part").write_bytes(b"of a process that was killed")
    monkeypatch.setattr(writing, "pack", pack)
    shard(songs, tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    for name in before:
        if name.endswith(".tar"):
            assert (tmp_path / "out" / name).stat().st_mtime_ns == before[name]


def test_complete_shards_are_left_alone(songs, tmp_path, monkeypatch) -> None:
    shard(songs, tmp_path / "out")
    before = content(tmp_path / "out")
    monkeypatch.setattr(writing, "pack", None)
    shard(songs, tmp_path / "out")
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("change", ["other files", "another size", "other tracks", "no index"])
def test_a_folder_with_other_content_is_refused_and_left_as_it_is(songs, tmp_path, change) -> None:
    out = tmp_path / "out"
    shard(songs, out)
    size = 150_000
    match change:
        case "other files":
            (out / "thesis.tex").write_text("precious")
        case "another size":
            size = 90_000
        case "other tracks":
            shutil.rmtree(tmp_path / "slakh/train/Track00009")
        case "no index":
            (out / "index.json").unlink()
    before = content(out)
    with pytest.raises(SoliError, match="choose an empty folder"):
        shard(open_dataset(tmp_path / "slakh"), out, size)
    assert content(out) == before


def test_a_damaged_track_is_named_and_the_other_shards_are_written(songs, tmp_path) -> None:
    path = tmp_path / "slakh/train/Track00002/stems/S01.flac"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SoliError, match=r"1 of \d shards failed: shard-000000.tar: .*Track00002/stems/S01.flac"):
        shard(songs, tmp_path / "out")
    names = set(content(tmp_path / "out"))
    assert "shard-000000.tar" not in names
    assert {"shard-000001.tar", "shard-000002.tar"} <= names


def test_webdataset_reads_the_shards(songs, tmp_path) -> None:
    shard(songs, tmp_path / "out", 10**9)
    samples = list(webdataset.WebDataset(str(tmp_path / "out/shard-000000.tar"), shardshuffle=False, seed=0))
    assert len(samples) == 9
    facts = json.loads(samples[3]["json"])
    assert facts["name"] == "Track00004"
    decoded, rate = soundfile.read(BytesIO(samples[3][facts["stems"]["S03"]["file"]]))
    assert rate == facts["sample_rate"]
    np.testing.assert_array_equal(decoded, songs.tracks[3].read("S03")[0])


def test_shards_that_webdataset_has_written_are_read(songs, tmp_path) -> None:
    shard(songs, tmp_path / "out", 10**9)
    again = tmp_path / "again.tar"
    with webdataset.TarWriter(str(again)) as writer:
        for sample in webdataset.WebDataset(str(tmp_path / "out/shard-000000.tar"), shardshuffle=False, seed=0):
            writer.write({key: value for key, value in sample.items() if key == "__key__" or key[0] != "_"})
    for one, other in zip(read_shard(str(again)), songs.tracks, strict=True):
        same(one, other)


@pytest.mark.parametrize("damage", ["cut", "text", "missing", "foreign", "flac"])
def test_a_bad_shard_is_one_clear_line(songs, tmp_path, damage) -> None:
    shard(songs, tmp_path / "out", 10**9)
    path = tmp_path / "out/shard-000000.tar"
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:100_000])
        case "text":
            path.write_text("no tar file at all " * 100)
        case "missing":
            path.unlink()
        case "foreign":
            with webdataset.TarWriter(str(path)) as writer:
                writer.write({"__key__": "000", "jpg": b"a picture"})
        case "flac":
            with webdataset.TarWriter(str(path)) as writer:
                described = {"name": "x", "split": "", "mixture": None, "silent": [], "metadata": {}}
                described["stems"] = {"vocals": {"file": "vocals.flac", "labels": []}}
                writer.write({"__key__": "000", "json": described, "vocals.flac": b"not flac"})
    with pytest.raises(SoliError, match=r"shard-000000\.tar") as caught:
        [track.mixture() for track in read_shard(str(path))]
    assert "\n" not in str(caught.value)


def test_an_unknown_store_is_refused(songs) -> None:
    with pytest.raises(SoliError, match="nowhere"):
        shard(songs, "nowhere://bucket")


def test_a_place_that_cannot_be_written_is_an_error(songs, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SoliError, match="file/out"):
        shard(songs, tmp_path / "file" / "out")


def test_a_mixture_without_stems_is_a_sample_too(tmp_path) -> None:
    write(tmp_path / "songs", {"one": noise(1, 4000, 0), "two": noise(1, 4000, 1)})
    dataset = open_dataset(tmp_path / "songs", "mixtures")
    for one, other in zip(shard(dataset, tmp_path / "out"), dataset.tracks, strict=True):
        same(one, other)


def test_the_file_of_the_mixture_is_kept(tmp_path) -> None:
    stems = parts(("vocals", "drums"))
    mixed = with_mixture(stems)
    mixed["mixture"] = mixed["mixture"] / 2  # not their sum
    write(tmp_path / "songs" / "a", mixed)
    dataset = open_dataset(tmp_path / "songs", "stems")
    (found,) = shard(dataset, tmp_path / "out")
    same(found, dataset.tracks[0])
