from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from data_trees import FOUR, LENGTH, moises, musdb, parts, slakh, slakh_metadata, with_mixture, write
from soli.data.classes import MUSDB_VALIDATION
from soli.data.layouts import LAYOUTS, open_dataset
from soli.data.layouts.musdb import TEST, TEST_20
from soli.data.layouts.slakh_splits import MOVED, OMITTED, ORIGINAL, split_of
from soli.data.tracks import Dataset
from soli.errors import SoliError


def names(dataset: Dataset, scheme: str) -> dict[str, list[str]]:
    return {split: [track.name for track in tracks] for split, tracks in dataset.splits[scheme].items()}


def test_streams_of_musdb_are_read_by_their_index(tmp_path: Path) -> None:
    dataset = open_dataset(musdb(tmp_path, {"Mine - Song": "train"}))
    (track,) = dataset.tracks
    assert (dataset.layout, track.name, track.split) == ("musdb18", "Mine - Song", "train")
    assert dict(track.metadata) == {"artist": "Mine", "title": "Song"}
    for name, pitch in zip(FOUR, (200, 300, 500, 700), strict=True):
        spectrum = np.abs(np.fft.rfft(track.read(name, 1000, 8820)[0] * np.hanning(8820)))
        assert 5 * int(spectrum.argmax()) == pitch
    difference = track.mixture() - sum(track.read(name) for name in FOUR)
    assert np.square(difference).sum() < 0.01 * np.square(track.mixture()).sum()


def test_musdb_songs_are_split_by_name(tmp_path: Path) -> None:
    songs = {"Mine - Song": "", "Meaxic - Take A Step": "", "Zeno - Signs": "", "Timboz - Pony": ""}
    for song in songs:
        (tmp_path / f"{song}.stem.mp4").touch()
    dataset = open_dataset(tmp_path)
    assert names(dataset, "official") == {
        "train": ["Mine - Song"],
        "validation": ["Meaxic - Take A Step"],
        "test": ["Timboz - Pony", "Zeno - Signs"],
    }
    assert names(dataset, "seed001") == {
        "train": ["Meaxic - Take A Step", "Mine - Song", "Timboz - Pony"],
        "test": ["Zeno - Signs"],
    }
    assert "folders" not in dataset.splits


def test_the_lists_of_musdb_have_their_official_sizes() -> None:
    assert (len(TEST), len(set(MUSDB_VALIDATION)), len(set(TEST_20))) == (50, 14, 20)
    assert set(TEST_20) < TEST
    assert TEST.isdisjoint(MUSDB_VALIDATION)


def test_musdb_hq_is_folders_of_files(tmp_path: Path) -> None:
    stems = parts(FOUR)
    write(tmp_path / "train" / "Mine - Song", with_mixture(stems))
    write(tmp_path / "test" / "Mine - Without Bass", with_mixture({k: v for k, v in stems.items() if k != "bass"}))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "musdb18-hq"
    assert names(dataset, "folders") == {"test": ["Mine - Without Bass"], "train": ["Mine - Song"]}
    assert names(dataset, "official")["test"] == ["Mine - Without Bass"]  # unknown songs stay where they lie
    without, whole = dataset.tracks
    for name in FOUR:
        np.testing.assert_array_equal(whole.read(name), stems[name])
    assert without.mix is not None
    assert not without.read("bass").any()
    assert not without.submix("bass").any()


def test_slakh_stems_have_both_kinds_of_class(tmp_path: Path) -> None:
    slakh(tmp_path / "train" / "Track00001")
    dataset = open_dataset(tmp_path)
    (track,) = dataset.tracks
    assert dataset.layout == "slakh"
    assert {name: stem.labels for name, stem in track.stems.items()} == {
        "S00": ("guitar",),
        "S01": ("guitar",),
        "S02": ("bass",),
        "S03": ("drums",),
        "S04": ("other", "strings_continued"),
    }
    assert track.metadata["overall_gain"] == pytest.approx(0.1827, abs=1e-4)
    stems = list(parts(("S00", "S01", "S02", "S03", "S04"), n_channels=1).values())
    np.testing.assert_allclose(track.submix("guitar"), stems[0] + stems[1], atol=1e-6)
    np.testing.assert_allclose(track.mixture(), sum(stems), atol=1e-6)
    np.testing.assert_allclose(track.submix("bass", "drums", "guitar", "piano"), sum(stems[:4]), atol=1e-6)
    assert not track.submix("piano").any()
    with pytest.raises(SoliError, match="no stem of class 'kazoo'"):
        track.submix("kazoo")


@pytest.mark.parametrize(
    ("program", "label"),
    [
        (0, "piano"),
        (7, "piano"),
        (8, "other"),
        (24, "guitar"),
        (31, "guitar"),
        (32, "bass"),
        (39, "bass"),
        (40, "other"),
    ],
)
def test_programs_tell_the_class_of_slakh_stems(tmp_path: Path, program: int, label: str) -> None:
    folder = tmp_path / "Track00001"
    (folder / "stems").mkdir(parents=True)
    (folder / "metadata.yaml").write_text(slakh_metadata({"S00": (program, "Something", True)}))
    (track,) = open_dataset(tmp_path).tracks
    assert track.stems["S00"].labels == (label, "something")
    assert track.stems["S00"].path == folder / "stems" / "S00.flac"  # what should be there, so that it can be missed


def test_babyslakh_is_wav_files_without_splits(tmp_path: Path) -> None:
    slakh(tmp_path / "Track00001", suffix="wav")
    slakh(tmp_path / "Track00003", {"S00": (0, "Piano", True)}, suffix="wav")
    dataset = open_dataset(tmp_path)
    assert [track.n_samples for track in dataset.tracks] == [LENGTH, LENGTH]
    assert names(dataset, "orig") == {"train": ["Track00001", "Track00003"]}
    assert names(dataset, "split2") == {"train": ["Track00001"], "test": ["Track00003"]}
    (alone,) = open_dataset(tmp_path / "Track00003").tracks
    assert alone.name == "Track00003"


def test_the_lists_of_slakh_have_the_authors_counts() -> None:
    splits = ("train", "validation", "test")
    for scheme, counts in (("orig", (1500, 375, 225)), ("split2", (1500, 375, 225)), ("redux", (1289, 270, 151))):
        found = [split_of(number, scheme) for number in range(1, 2101)]
        assert tuple(found.count(split) for split in splits) == counts
    assert [len(numbers) for numbers in MOVED.values()] == [94, 57, 94, 13, 57, 13]
    for (origin, _), numbers in MOVED.items():
        assert set(numbers) <= set(ORIGINAL[origin])
    assert len(OMITTED) == 390


def test_only_tracks_of_slakh_get_the_splits_of_slakh(tmp_path: Path) -> None:
    tracks = {"redux": "omitted/Track00049", "twin": "test_b/Track00049", "orig": "train/Track00049"}
    for place, track in tracks.items():
        for path in (tmp_path / place / track, tmp_path / place / "train" / "Track00001"):
            path.mkdir(parents=True)
            (path / "metadata.yaml").write_text(slakh_metadata({"S00": (0, "Piano", True)}))
    assert names(open_dataset(tmp_path / "redux"), "redux") == {"train": ["Track00001"], "omitted": ["Track00049"]}
    assert names(open_dataset(tmp_path / "orig"), "redux") == {"train": ["Track00001"], "omitted": ["Track00049"]}
    assert names(open_dataset(tmp_path / "twin"), "folders") == {"test_b": ["Track00049"], "train": ["Track00001"]}
    assert set(open_dataset(tmp_path / "twin").splits) == {"folders"}


@pytest.mark.parametrize("text", ["stems: [", "stems: 3", "", "stems: {S00: 5}", "stems: {S00: {inst_class: Bass}}"])
def test_broken_metadata_of_one_track_leave_the_others_open(tmp_path: Path, text: str) -> None:
    slakh(tmp_path / "Track00001")
    (tmp_path / "Track00002").mkdir()
    (tmp_path / "Track00002" / "metadata.yaml").write_text(text)
    whole, broken = open_dataset(tmp_path).tracks
    assert whole.n_samples == LENGTH
    with pytest.raises(SoliError, match=r"Track00002/metadata\.yaml") as caught:
        broken.mixture()
    assert "\n" not in str(caught.value)


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slakh(tmp_path / "Track00001")
    monkeypatch.setitem(sys.modules, "yaml", None)
    (track,) = open_dataset(tmp_path).tracks
    with pytest.raises(SoliError, match=r"PyYAML: pip install 'soli\[data\]'"):
        track.mixture()


@pytest.mark.parametrize("inside", [".", "moisesdb_v0.1", "moisesdb/moisesdb_v0.1"])
def test_moisesdb_has_three_levels_of_classes(tmp_path: Path, inside: str) -> None:
    stems = {"guitar": ("acoustic_guitar", "acoustic_guitar"), "vocals": ("lead_male_singer",), "other": ("fx",)}
    moises(tmp_path / inside / "7e6c-uuid", stems)
    dataset = open_dataset(tmp_path / Path(inside).parts[0] if "/" in inside else tmp_path)
    (track,) = dataset.tracks
    assert (dataset.layout, track.name, track.metadata["artist"]) == ("moisesdb", "7e6c-uuid", "Someone")
    assert {name: stem.labels for name, stem in track.stems.items()} == {
        "guitar/acoustic_guitar": ("other", "guitar", "acoustic_guitar"),
        "guitar/acoustic_guitar 2": ("other", "guitar", "acoustic_guitar"),
        "vocals/lead_male_singer": ("vocals", "lead_male_singer"),
        "other/fx": ("other", "fx"),
    }
    assert not track.submix("bowed_strings").any()
    assert not track.submix("drums").any()
    both = track.read("guitar/acoustic_guitar") + track.read("guitar/acoustic_guitar 2")
    np.testing.assert_allclose(track.submix("guitar"), both, atol=1e-6)
    np.testing.assert_allclose(track.mixture(), track.submix("other", "vocals"), atol=1e-6)


@pytest.mark.parametrize("text", ["{", "[]", '{"stems": {}}', '{"stems": [{"stemName": "bass"}]}'])
def test_a_broken_description_in_moisesdb_is_kept_for_who_reads_it(tmp_path: Path, text: str) -> None:
    moises(tmp_path / "a", {"bass": ("bass_guitar",)})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "data.json").write_text(text)
    whole, broken = open_dataset(tmp_path).tracks
    assert whole.n_samples == LENGTH
    with pytest.raises(SoliError, match=r"b/data\.json: "):
        broken.mixture()


def test_any_folder_of_stems_is_told_by_its_names(tmp_path: Path) -> None:
    write(tmp_path / "Artist" / "One", with_mixture(parts(("Drum", "bass guitar", "kazoo")), "mix"), "flac")
    write(tmp_path / "Two", parts(("piano", "vocals_1", "vocals_2")), "ogg")
    dataset = open_dataset(tmp_path)
    one, two = dataset.tracks
    assert dataset.layout == "stems"
    assert [track.name for track in dataset.tracks] == ["Artist/One", "Two"]
    assert {name: stem.labels for name, stem in one.stems.items()} == {
        "Drum": ("drums", "drum"),
        "bass guitar": ("bass", "bass guitar"),
        "kazoo": (),
    }
    assert one.mix is not None
    assert two.submix("vocals").shape == (2, two.n_samples)
    with pytest.raises(SoliError, match="no stem of class 'drums'"):  # here nobody says that missing means silent
        two.submix("drums")
    (tmp_path / "classes.toml").write_text('toys = ["kazoo"]')
    assert open_dataset(tmp_path).tracks[0].stems["kazoo"].labels == ("toys", "kazoo")
    (song,) = open_dataset(tmp_path / "Two").tracks
    assert (song.name, set(song.stems)) == ("Two", {"piano", "vocals_1", "vocals_2"})


def test_names_that_repeat_and_hidden_files_do_no_harm(tmp_path: Path) -> None:
    stems = parts(("bass", "drums"))
    write(tmp_path / "song", stems)
    write(tmp_path / "song", {"bass": stems["bass"], "mixture": stems["bass"]}, "flac")
    write(tmp_path / "song", {"mixture": stems["bass"]})
    for name in (".DS_Store", "._drums.wav", "notes.txt"):
        (tmp_path / "song" / name).write_bytes(b"?")
    (track,) = open_dataset(tmp_path, "stems").tracks
    assert set(track.stems) == {"bass", "bass.wav", "drums"}
    assert track.mix is None  # two of them: neither can be trusted


def test_bass_db_is_told_by_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "BASS-dB"
    write(root / "song" / "sources", parts(("bass_dry", "03 Snare Drum L", "something")))
    write(root / "song", {"mix_stereo": parts(("m",))["m"]})
    dataset = open_dataset(root)
    (track,) = dataset.tracks
    assert (dataset.layout, track.name) == ("bass-db", "song")
    assert track.mix is not None
    assert track.mix.path.name == "mix_stereo.wav"
    assert {name: stem.labels[:1] for name, stem in track.stems.items()} == {
        "sources/03 Snare Drum L": ("drums",),
        "sources/bass_dry": ("bass",),
        "sources/something": (),
    }
    with pytest.raises(SoliError, match="no stem of class 'vocals'"):
        track.submix("vocals")
    moved = root.rename(tmp_path / "elsewhere")
    assert open_dataset(moved, "bass-db").tracks[0].stems.keys() == track.stems.keys()


def test_solos_lie_in_folders_of_their_instrument(tmp_path: Path) -> None:
    write(tmp_path / "Violin" / "player 1", parts(("take", "bass")))
    write(tmp_path / "drums", parts(("kick", "snare")))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "solos"
    assert [(track.name, track.labels) for track in dataset.tracks] == [
        ("Violin/player 1/bass.wav", ("other", "violin")),
        ("Violin/player 1/take.wav", ("other", "violin")),
        ("drums/kick.wav", ("drums",)),
        ("drums/snare.wav", ("drums",)),
    ]
    assert all(len(track.stems) == 1 for track in dataset.tracks)


def test_one_folder_of_solos_is_named_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "some_voice", parts(("a", "b")))
    monkeypatch.chdir(folder)
    for path in (folder, Path()):
        assert [track.labels for track in open_dataset(path, "solos").tracks] == [("vocals", "some voice")] * 2
    assert open_dataset(folder).layout == "mixtures"  # the name alone is not enough to guess


def test_mixtures_have_no_stems(tmp_path: Path) -> None:
    signals = parts(("one", "two"))
    write(tmp_path / "train", signals)
    write(tmp_path / "valid" / "more", parts(("one",)))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "mixtures"
    assert names(dataset, "folders") == {"train": ["one.wav", "two.wav"], "validation": ["more/one.wav"]}
    np.testing.assert_array_equal(dataset.tracks[1].mixture(), signals["two"])


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "odd" / "x", parts(("kazoo", "comb")))
    (tmp_path / "file").touch()
    for path, layout, message in (
        ("nowhere", "auto", "there is no such folder"),
        ("file", "auto", "not a folder"),
        ("empty", "auto", "no known layout of a dataset; say which it is with one of: musdb18, "),
        ("odd", "auto", "no known layout"),
        ("odd", "slakh", "no tracks in this folder; looked for Slakh2100"),
        ("odd", "radio", "layout 'radio' does not exist; allowed: auto, musdb18, musdb18-hq, slakh"),
    ):
        with pytest.raises(SoliError, match=message) as caught:
            open_dataset(tmp_path / path, layout)
        assert "\n" not in str(caught.value)
    assert len(open_dataset(tmp_path / "odd", "stems").tracks[0].stems) == 2


def test_every_layout_refuses_an_empty_folder(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        with pytest.raises(SoliError, match="no tracks in this folder"):
            open_dataset(tmp_path, layout)
