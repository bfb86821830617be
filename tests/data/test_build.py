from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import symusic
import torch

from audio_fakes import save, save_container
from soli.data.build import DataSource, open_caches
from soli.data.cache import Cache
from soli.data.classes import CLASSES, class_of
from soli.data.render.excerpt import class_of_part, last_seconds, read_midi, render_classes
from soli.data.render.soundfonts import open_soundfont
from soli.errors import SoliError
from soundfont_maker import Sound, sine, write_soundfont

RATE = 44100
PITCHES = {"mixture": 300.0, "drums": 500.0, "bass": 700.0, "other": 900.0, "vocals": 1100.0}


def tone(frequency: float, n_channels: int = 2, rate: int = RATE, seconds: float = 0.5) -> torch.Tensor:
    clock = torch.arange(round(seconds * rate)) / rate
    return (0.3 * torch.sin(2 * torch.pi * frequency * clock)).repeat(n_channels, 1)


def pitches(cache: Cache, track: str) -> dict[str, list[float]]:
    """For each class of a track its strongest frequencies, rounded to 20 Hz, from low to high."""
    found = {}
    for stem in cache.stems:
        if stem.track == track:
            audio = cache.read(stem, 0, stem.n_samples)[0]
            spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), n=RATE // 2))
            peaks = 2.0 * np.flatnonzero(spectrum > 0.5 * max(spectrum.max(), 1e-3))
            found[stem.label] = sorted({float(20 * round(peak / 20)) for peak in peaks})
    return found


def build(tmp_path: Path, said: list[str] | None = None, **source: object) -> Cache:
    data = DataSource(collection="set", **source)  # type: ignore[arg-type]
    (cache,) = open_caches(tmp_path / "cache", (data,), ([] if said is None else said).append)
    return cache


def song(folder: Path, **stems: torch.Tensor) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, waveform in stems.items():
        save(folder / f"{name}.wav", waveform)
    return folder


def test_streams_of_musdb_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    streams = [tone(pitch) for pitch in PITCHES.values()]
    save_container(tmp_path / "in" / "Mine - Song.stem.mp4", streams, "aac")
    streams[1] = 0 * streams[1]
    save_container(tmp_path / "in" / "Mine - Without Drums.stem.mp4", streams, "aac")
    save_container(tmp_path / "in" / "Triviul - Angelsaint.stem.mp4", streams, "aac")
    said: list[str] = []
    cache = build(tmp_path, said, kind="dataset", layout="musdb18", path=str(tmp_path / "in"))
    assert pitches(cache, "Mine - Song") == {label: [PITCHES[label]] for label in CLASSES}
    assert "drums" not in pitches(cache, "Mine - Without Drums")
    ((name, stems),) = cache.tracks("validation")
    assert name == "set/Triviul - Angelsaint"
    assert {stem.label for stem in stems} == set(CLASSES)  # silent ones too: songs are scored whole
    assert said == ["Mine - Song (train)", "Mine - Without Drums (train)", "Triviul - Angelsaint (validation)"]


def test_an_mp4_without_stems_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_container(tmp_path / "in" / "clip.mp4", [tone(440.0)], "aac")
    with pytest.raises(SoliError, match=r"in: no tracks in this folder; looked for MUSDB18"):
        build(tmp_path, kind="dataset", layout="musdb18", path=str(tmp_path / "in"))


def test_stems_of_one_class_are_summed(tmp_path: Path) -> None:
    stems = {"Guitar": tone(400.0), "lead": tone(800.0, n_channels=1, seconds=0.4), "kick-ish": tone(90.0)}
    stems["Drum"] = stems.pop("kick-ish")
    song(tmp_path / "in" / "one", **stems, mixture=tone(2000.0))
    song(tmp_path / "in" / "two", bass=tone(60.0), vocals=0 * tone(60.0))
    song(tmp_path / "in" / "left out", bass=tone(60.0))
    cache = build(tmp_path, kind="dataset", layout="stems", path=str(tmp_path / "in"), exclude=("left out",))
    assert pitches(cache, "one") == {"other": [400.0, 800.0], "drums": [80.0, 100.0]}
    assert pitches(cache, "two") == {"bass": [60.0]}  # nothing to learn from a silent stem
    assert {stem.track for stem in cache.stems} == {"one", "two"}


def test_validation_songs_keep_their_split_as_folders_too(tmp_path: Path) -> None:
    song(tmp_path / "in" / "Meaxic - Take A Step", bass=tone(60.0), vocals=0 * tone(60.0))
    song(tmp_path / "in" / "Another", bass=tone(60.0))
    cache = build(tmp_path, kind="dataset", layout="stems", path=str(tmp_path / "in"))
    splits = {(stem.track, stem.label): stem.split for stem in cache.stems}
    assert splits == {
        ("Another", "bass"): "train",
        ("Meaxic - Take A Step", "bass"): "validation",
        ("Meaxic - Take A Step", "vocals"): "validation",
    }


def test_a_cache_has_the_rate_and_channels_of_the_model(tmp_path: Path) -> None:
    left, right = tone(300.0, n_channels=1), tone(500.0, n_channels=1)
    song(tmp_path / "in" / "one", bass=torch.cat([left, right]))
    data = DataSource(collection="set", kind="dataset", layout="stems", path=str(tmp_path / "in"))
    (cache,) = open_caches(tmp_path / "cache", (data,), print, sample_rate=22050, n_channels=1)
    assert (cache.sample_rate, cache.n_channels) == (22050, 1)
    (stem,) = cache.stems
    assert (stem.n_samples, stem.bandwidth) == (11025, 11025.0)
    clock = np.arange(11025) / 22050
    expected = 0.15 * (np.sin(2 * np.pi * 300 * clock) + np.sin(2 * np.pi * 500 * clock))
    audio = cache.read(stem, 0, 11025)
    assert audio.shape == (1, 11025)
    assert np.abs(audio[0] - expected)[500:-500].max() < 1e-3


def test_folders_of_splits_keep_their_meaning(tmp_path: Path) -> None:
    for split in ("train", "validation", "test_a", "test"):
        song(tmp_path / "in" / split / f"{split} song", bass=tone(60.0), drums=tone(90.0))
    cache = build(tmp_path, kind="dataset", layout="stems", path=str(tmp_path / "in"))
    assert {(stem.track, stem.split) for stem in cache.stems} == {
        ("train song", "train"),
        ("validation song", "validation"),
    }


def test_a_pattern_picks_solos_out_of_songs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        song(tmp_path / "in" / "artist" / name, guitar=tone(500), song=tone(900))
    cache = build(tmp_path, kind="solos", path=str(tmp_path / "in"), label="other", pattern="*/*/guitar.wav")
    assert [stem.track for stem in cache.stems] == ["artist/first/guitar", "artist/second/guitar"]
    assert pitches(cache, "artist/first/guitar") == {"other": [500.0]}
    with pytest.raises(SoliError, match=r"in: no files '\*/bass\.wav'"):
        build(tmp_path, kind="solos", path=str(tmp_path / "in"), label="other", pattern="*/bass.wav")


def test_solos_are_brought_to_one_level_and_rate(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "quiet.wav", 0.01 * tone(440.0, n_channels=1, rate=16000), rate=16000)
    save(tmp_path / "in" / "loud.flac", tone(440.0))
    cache = build(tmp_path, kind="solos", path=str(tmp_path / "in"), label="vocals", bandwidth=7600.0)
    assert list(cache.tracks("train")) == []  # solos are no songs
    for stem in cache.stems:
        assert (stem.label, stem.bandwidth, stem.n_samples) == ("vocals", 7600.0, RATE // 2)
        assert pitches(cache, stem.track) == {"vocals": [440.0]}
        level = 20 * np.log10(np.sqrt(np.mean(cache.read(stem, 2000, 18000) ** 2)))
        assert level == pytest.approx(-18.0, abs=0.2)


def test_a_pattern_without_a_suffix_takes_audio_at_any_depth(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("top", "v1.0/deep/low", ".hidden/not", "v1.0/._ghost"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save(folder / f"{name}.wav", tone(500.0))
    (folder / "folder.wav").mkdir()
    for name in (".DS_Store", "notes.txt", "v1.0/card.md"):
        (folder / name).write_text("no audio")
    cache = build(tmp_path, kind="solos", path=str(folder), label="other", pattern="**/*")
    assert [stem.track for stem in cache.stems] == ["top", "v1.0/deep/low"]
    cache = build(tmp_path, kind="solos", path=str(folder), label="other")
    assert [stem.track for stem in cache.stems] == ["top"]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((0.5,), {"0": ("train", 0.5)}),
        ((50.0,), {"0": ("train", 45.0), "0 again": ("validation", 5.0)}),
        ((0.5, 0.6), {"0": ("validation", 0.5), "1": ("train", 0.6)}),
        ((0.5, 0.6, 0.7), {"0": ("validation", 0.5), "1": ("train", 0.6), "2": ("validation", 0.7)}),
    ],
)
def test_something_is_always_left_to_train_on(
    tmp_path: Path, lengths: tuple[float, ...], expected: dict[str, tuple[str, float]]
) -> None:
    (tmp_path / "in").mkdir()
    clock = torch.arange(round(50.0 * 8000)) / 8000
    rising = (0.3 * torch.sin(2 * torch.pi * (100 + 20 * clock) * clock))[None]  # no two parts of it are alike
    for index, seconds in enumerate(lengths):
        save(tmp_path / "in" / f"{index}.wav", rising[:, : round(8000 * seconds)], rate=8000)
    data = DataSource(collection="set", kind="solos", path=str(tmp_path / "in"), label="other", validation_every=2)
    (cache,) = open_caches(tmp_path / "cache", (data,), print, sample_rate=8000, n_channels=1)
    found: dict[str, tuple[str, float]] = {}
    for stem in cache.stems:
        found[f"{stem.track} again" if stem.track in found else stem.track] = stem.split, stem.n_samples / 8000
    assert found == expected
    if len(lengths) == 1:
        heard = np.concatenate([cache.read(stem, 0, stem.n_samples)[0] / stem.gain for stem in cache.stems])
        due = rising[0, : len(heard)].numpy()
        assert np.corrcoef(heard, due)[0, 1] > 0.99  # one after the other, nothing twice


def test_solos_are_decoded_again_when_files_come_go_or_grow(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    save(folder / "first.wav", tone(500.0))
    said: list[str] = []

    def names() -> list[str]:
        said.clear()
        cache = build(tmp_path, said, kind="solos", path=str(folder), label="other", pattern="**/*")
        return [stem.track for stem in cache.stems]

    assert names() == ["first"]
    (folder / "notes.txt").write_text("no recording")
    assert names() == ["first"]
    assert said == []
    save(folder / "sub" / "second.wav", tone(600.0))
    assert names() == ["first", "sub/second"]
    save(folder / "first.wav", tone(500.0, seconds=0.7))
    names()
    assert said == ["2 recordings of other"]
    (folder / "first.wav").unlink()
    assert names() == ["sub/second"]
    note = tmp_path / "cache" / "set-44100-2" / "source.json"
    content = json.loads(note.read_text())
    assert content.pop("files") == [["sub/second.wav", (folder / "sub" / "second.wav").stat().st_size]]
    note.write_text(json.dumps(content))  # as written before files were noted
    save(folder / "third.wav", tone(700.0))
    assert names() == ["sub/second"]
    assert said == []


def test_a_failed_rebuild_leaves_the_old_cache(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.wav", tone(500.0))
    first = build(tmp_path, kind="solos", path=str(folder), label="other")
    (folder / "b.wav").write_bytes(b"no audio")
    place = tmp_path / "cache" / "set-44100-2"
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(SoliError, match=r"b\.wav"):
        build(tmp_path, kind="solos", path=str(folder), label="other")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    (folder / "b.wav").unlink()
    said: list[str] = []
    assert build(tmp_path, said, kind="solos", path=str(folder), label="other").stems == first.stems
    assert said == []


def test_what_is_there_is_not_decoded_again(tmp_path: Path) -> None:
    folder = song(tmp_path / "in" / "one", bass=tone(60.0))
    first = build(tmp_path, kind="dataset", layout="stems", path=str(tmp_path / "in"))
    (folder / "bass.wav").unlink()
    said: list[str] = []
    assert build(tmp_path, said, kind="dataset", layout="stems", path=str(tmp_path / "in")).stems == first.stems
    assert said == []


def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    song(tmp_path / "unknown" / "one", kazoo=tone(300.0))
    song(tmp_path / "silent" / "one", bass=0 * tone(300.0))
    (tmp_path / "empty").mkdir()
    cases = {
        r"kazoo\.wav: 'kazoo' belongs to no class": ("dataset", "unknown", ""),
        r"silent: no usable audio for collection 'set'": ("dataset", "silent", ""),
        r"empty: no known layout of a dataset": ("dataset", "empty", ""),
        r"missing: there is no such folder": ("dataset", "missing", ""),
        r"empty: no files ending in \.wav": ("solos", "empty", "drums"),
        r"collection 'set' has no label": ("solos", "empty", ""),
    }
    for message, (kind, folder, label) in cases.items():
        layout = "auto" if folder == "empty" else "stems"
        with pytest.raises(SoliError, match=message) as caught:
            build(tmp_path, kind=kind, path=str(tmp_path / folder), label=label, layout=layout)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "cache" / "set-44100-2" / "index.json").exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [("Drum", "drums"), ("lead_vocals", "vocals"), ("Bass-Guitar", "bass"), ("piano", "other"), ("kazoo", None)],
)
def test_file_names_tell_the_class(name: str, label: str | None) -> None:
    assert class_of(name) == label


def test_programs_tell_the_class_of_a_part() -> None:
    labels = [class_of_part(program=program, is_drum=False) for program in range(128)]
    assert [program for program, label in enumerate(labels) if label == "bass"] == list(range(32, 40))
    assert set(labels) == {"bass", "other"}
    assert class_of_part(program=33, is_drum=True) == "drums"


Part = tuple[int, bool, list[float]]
PARTS: list[Part] = [(33, False, [1.0]), (0, True, [0.0, 2.0]), (0, False, [1.5]), (80, False, [2.5])]


def write_midi(path: Path, parts: list[Part] = PARTS) -> Path:
    """Half-second notes at 120 beats a minute; a part is (program, drums?, onsets in seconds)."""
    score = symusic.Score(480)
    for program, is_drum, onsets in parts:
        track = symusic.Track(program=program, is_drum=is_drum)
        for onset in onsets:
            track.notes.append(symusic.Note(round(960 * onset), 480, 60, 100))
        score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(str(path))
    return path


@pytest.fixture
def soundfont(tmp_path: Path) -> Path:
    """A tone as long as its note for the first program and the first drum kit, which then play for all others."""
    tone = Sound(0.5 * sine(882.0, seconds=0.1), root=60, loop=(2205, 4410))
    return write_soundfont(tmp_path / "font.sf2", {(0, 0, "Tone"): [tone], (128, 0, "Kit"): [tone]})


def sounding(audio: np.ndarray) -> list[tuple[float, float]]:
    """Begin and end of what sounds, in seconds."""
    loud = np.abs(audio[0]).reshape(-1, RATE // 100).max(axis=1) > 0.01
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False)) / 100
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_an_excerpt_is_rendered_class_by_class(tmp_path: Path, soundfont: Path) -> None:
    parts, tempos = read_midi(write_midi(tmp_path / "song.mid"))
    assert last_seconds(parts, tempos) == pytest.approx(3.0)
    font = open_soundfont(soundfont)
    stems = render_classes(parts, tempos, font, start=0.75, seconds=2.0)
    assert {audio.shape for audio in stems.values()} == {(2, 2 * RATE)}
    assert set(stems) == {"bass", "drums", "other"}
    expected = {"bass": [(0.25, 0.75)], "drums": [(1.25, 1.75)], "other": [(0.75, 1.25), (1.75, 2.0)]}
    for label, times in expected.items():
        np.testing.assert_allclose(sounding(stems[label]), times, atol=0.02)
    late = render_classes(parts, tempos, font, start=2.25, seconds=0.5)
    assert set(late) == {"other"}  # only what begins inside counts


def test_midi_songs_become_tracks(tmp_path: Path, soundfont: Path) -> None:
    for folder in ("a", "b"):
        write_midi(tmp_path / "in" / folder / "song.mid")
    (tmp_path / "in" / "broken.mid").write_bytes(b"no midi")
    said: list[str] = []
    cache = build(
        tmp_path, said, kind="midi", path=str(tmp_path / "in"), soundfonts=(str(soundfont),), seconds=4.0, n_songs=3
    )
    tracks = dict(cache.tracks("train"))
    assert set(tracks) == {"set/a/song", "set/b/song"}  # two songs of one name stay two
    for stems in tracks.values():
        assert sorted(stem.label for stem in stems) == ["bass", "drums", "other"]
    assert len(said) == 1
    assert "broken.mid: not a readable MIDI file" in said[0]


def test_midi_is_rendered_at_the_rate_of_the_cache(tmp_path: Path, soundfont: Path) -> None:
    write_midi(tmp_path / "in" / "song.mid")
    data = DataSource(
        collection="set", kind="midi", path=str(tmp_path / "in"), soundfonts=(str(soundfont),), seconds=4.0, n_songs=1
    )
    found = {}
    for rate in (44100, 22050):
        (cache,) = open_caches(tmp_path / "cache", (data,), print, sample_rate=rate, n_channels=1)
        (stem,) = [stem for stem in cache.stems if stem.label == "bass"]
        assert stem.n_samples == 4 * rate
        spectrum = np.abs(np.fft.rfft(cache.read(stem, 0, 4 * rate)[0]))
        found[rate] = spectrum.argmax() / 4  # Hz
    assert found[22050] == pytest.approx(found[44100], abs=0.5)


def test_missing_soundfonts_and_songs_are_named(tmp_path: Path, soundfont: Path) -> None:
    write_midi(tmp_path / "in" / "song.mid")
    for path, fonts, named in (
        ("in", (str(soundfont), str(tmp_path / "no.sf2")), "no.sf2"),
        ("in", (), "in"),
        ("nowhere", (str(soundfont),), "nowhere"),
    ):
        with pytest.raises(SoliError, match=f"{named}: rendering needs SoundFonts and a folder of .mid files"):
            build(tmp_path, kind="midi", path=str(tmp_path / path), soundfonts=fonts)
