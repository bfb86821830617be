from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile
import yaml

from soli.data.check import check_track, summarise
from soli.data.compose.score import Tempo
from soli.data.layouts import open_dataset
from soli.data.render.musdb_writer import write_musdb
from soli.data.render.notes import TimedNote
from soli.data.render.pieces import PIECES, overheads
from soli.data.render.played_midi import PlayedPart, played_midi
from soli.data.render.slakh_writer import write_slakh
from soli.data.render.song import RenderedSong, RenderedStem

RATE, LENGTH = 8000, 8000
TEMPOS = (Tempo(0.0, 100.0), Tempo(8.0, 150.0))
NOTES = (TimedNote(0.1, 0.5, 60, 90), TimedNote(3.9, 2.0, 67, 40), TimedNote(7.3, 0.25, 64, 127))

# Slakh2100's own: what its tracks have, and what each of their stems has.
TRACK_KEYS = {"UUID", "audio_dir", "midi_dir", "normalization_factor", "normalized", "overall_gain", "stems"}
TRACK_KEYS |= {"target_peak"}
STEM_KEYS = {"audio_rendered", "inst_class", "integrated_loudness", "is_drum", "midi_program_name", "midi_saved"}
STEM_KEYS |= {"plugin_name", "program_num"}

PARTS = {  # instrument class and program
    "S00": ("drums", 8),
    "S01": ("bass", 33),
    "S02": ("electric_guitar", 27),
    "S03": ("acoustic_guitar", 24),
    "S04": ("piano", 4),
    "S05": ("strings", 48),
    "S06": ("voice", 53),
}
CLASSES = {"S00": "Drums", "S01": "Bass", "S02": "Guitar", "S03": "Guitar", "S04": "Piano"}
CLASSES |= {"S05": "Strings (continued)", "S06": "Strings (continued)"}


def noise(seed: int, n_channels: int, scale: float = 0.05) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal((n_channels, LENGTH))).astype(np.float32)


def rendered(n_channels: int = 1, *, pieces: bool = False, scale: float = 0.05) -> RenderedSong:
    stems = []
    for seed, (name, (instrument, program)) in enumerate(PARTS.items()):
        split = (
            {piece: noise(100 + i, n_channels, scale / 4) for i, piece in enumerate(PIECES[:5])}
            if name == "S00"
            else {}
        )
        audio = (
            sum(split.values(), np.zeros((n_channels, LENGTH), np.float32)) if split else noise(seed, n_channels, scale)
        )
        stems.append(
            RenderedStem(
                name=name,
                part=f"part {name}\0",
                instrument=instrument,
                program=program,
                is_drum=name == "S00",
                notes=NOTES,
                audio=audio,
                pieces=split if pieces else {},
                recipe={"source": "soundfont", "name": "A.sf2", "preset": "Some Preset", "lufs": -20.0},
            )
        )
    return RenderedSong(sample_rate=RATE, stems=tuple(stems), recipe={"seed": 5, "master_gain": 0.5})


def integers(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    assert soundfile.info(path).subtype == "PCM_16"
    return audio.T.astype(np.int32)


def write(root: Path, song: RenderedSong, **options: bool) -> Path:
    folder = root / "train" / "Track10001"
    folder.mkdir(parents=True)
    write_slakh(song, folder, tempos=TEMPOS, start_seconds=0.0, about={"source": "a test"}, **options)
    return folder


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("scale", [0.05, 1.0])  # the second is far beyond full scale
def test_all_sums_are_exact(tmp_path: Path, n_channels: int, scale: float) -> None:
    folder = write(tmp_path, rendered(n_channels, pieces=True, scale=scale), submixes=True)
    stems = {path.stem: integers(path) for path in (folder / "stems").iterdir()}
    assert set(stems) == set(PARTS)
    assert np.array_equal(integers(folder / "mix.flac"), sum(stems.values()))
    pieces = [integers(path) for path in (folder / "pieces").glob("S00_*.flac")]
    assert len(pieces) == 5
    assert np.array_equal(stems["S00"], sum(pieces))
    for label in ("bass", "drums", "guitar", "piano"):
        wanted = sum(stems[name] for name, found in CLASSES.items() if found.lower() == label)
        assert np.array_equal(integers(folder / "submixes" / f"{label}.flac"), wanted)


@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_files_hold_the_signals_times_one_gain(tmp_path: Path, scale: float) -> None:
    song = rendered(scale=scale)
    folder = write(tmp_path, song)
    gain = yaml.safe_load((folder / "metadata.yaml").read_text())["overall_gain"] / song.recipe["master_gain"]
    assert gain == 1 if scale < 1 else gain < 0.5
    for stem in song.stems:
        stored = integers(folder / "stems" / f"{stem.name}.flac") / 32768
        assert np.abs(stored - gain * stem.audio).max() < 0.51 / 32768 + 1e-7


def test_overheads_are_written_beside_the_pieces(tmp_path: Path) -> None:
    song = rendered(2, pieces=True)
    folder = write(tmp_path, song)
    stored = integers(folder / "overheads" / "S00.flac") / 32768
    assert np.abs(stored - overheads(song.stems[0].pieces, RATE)).max() < 0.51 / 32768 + 1e-7


def test_stems_that_cancel_are_not_clipped(tmp_path: Path) -> None:
    song = rendered()
    song.stems[1].audio[:] = 3.0
    song.stems[2].audio[:] = -3.0
    folder = write(tmp_path, song, submixes=True)
    stems = [integers(folder / "stems" / f"{name}.flac") for name in PARTS]
    assert max(int(np.abs(stem).max()) for stem in stems) < 32767
    assert np.array_equal(integers(folder / "mix.flac"), sum(stems))


def test_the_metadata_have_the_keys_of_slakh_and_are_read_by_its_loader(tmp_path: Path) -> None:
    folder = write(tmp_path, rendered(pieces=True), submixes=True)
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert set(metadata) == TRACK_KEYS | {"recipe"}
    assert all(set(facts) == STEM_KEYS | {"recipe"} for facts in metadata["stems"].values())
    assert {name: facts["inst_class"] for name, facts in metadata["stems"].items()} == CLASSES
    assert metadata["stems"]["S00"]["program_num"] == 128
    assert metadata["stems"]["S04"]["midi_program_name"] == "Electric Piano 1"
    assert metadata["stems"]["S01"]["plugin_name"] == "A.sf2/Some Preset"
    assert metadata["stems"]["S01"]["integrated_loudness"] == pytest.approx(-26.02, abs=0.01)
    assert metadata["recipe"] == {"source": "a test", "seed": 5, "master_gain": 0.5}
    dataset = open_dataset(tmp_path)
    (track,) = dataset.tracks
    assert set(track.stems) == set(PARTS)
    assert track.stems["S02"].labels == ("guitar",)
    assert track.stems["S05"].labels == ("other", "strings_continued")
    report = summarise(dataset, [check_track(track)])
    assert (dataset.layout, report.problems, report.residual_db) == ("slakh", [], (-200.0, -200.0, -200.0))
    for label in ("bass", "drums", "guitar", "piano"):
        submix = integers(folder / "submixes" / f"{label}.flac") / np.float32(32768)
        np.testing.assert_allclose(track.submix(label), submix, atol=1e-7)


def test_midi_files_are_in_time_with_the_audio(tmp_path: Path) -> None:
    folder = write(tmp_path, rendered())
    assert {path.stem for path in (folder / "MIDI").iterdir()} == set(PARTS)
    assert len(pretty_midi.PrettyMIDI(str(folder / "all_src.mid")).instruments) == len(PARTS)
    (played,) = pretty_midi.PrettyMIDI(str(folder / "MIDI" / "S02.mid")).instruments
    assert (played.program, played.is_drum, played.name) == (27, False, "part S02")
    _assert_played(played)


def _assert_played(played: pretty_midi.Instrument) -> None:
    found = sorted((note.start, note.end, note.pitch, note.velocity) for note in played.notes)
    wanted = [(note.start_seconds, note.end_seconds, note.pitch, note.velocity) for note in NOTES]
    np.testing.assert_allclose(found, wanted, atol=1.3e-3)  # a tick at 100 beats per minute


@pytest.mark.parametrize("start_seconds", [0.0, 3.0, 4.79, 6.0, 40.0])
@pytest.mark.parametrize("tempos", [TEMPOS, (), (Tempo(2.0, 90.0), Tempo(4.0, 180.0))])
def test_times_hold_wherever_in_the_song_the_audio_begins(
    tmp_path: Path, start_seconds: float, tempos: tuple[Tempo, ...]
) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(played_midi([PlayedPart("one", 0, False, NOTES)], tempos, start_seconds))
    file = pretty_midi.PrettyMIDI(str(path))
    _assert_played(file.instruments[0])
    changes = [seconds for seconds, _ in zip(*file.get_tempo_changes(), strict=True)]
    if tempos == TEMPOS:  # 8 beats at 100 per minute
        assert changes == pytest.approx([0.0, 4.8 - start_seconds] if start_seconds < 4.8 else [0.0], abs=1e-3)


def test_a_song_of_musdb_is_the_sum_of_its_four_classes(tmp_path: Path) -> None:
    song = rendered(2, scale=0.2)
    folder = tmp_path / "train" / "Track10001"
    folder.mkdir(parents=True)
    write_musdb(song, folder)
    files = {path.stem: integers(path) for path in folder.glob("*.wav")}
    assert set(files) == {"mixture", "drums", "bass", "other", "vocals"}
    mixture = files.pop("mixture")
    assert np.array_equal(mixture, sum(files.values()))
    other = sum((song.stems[i].audio for i in (2, 3, 4, 5)), np.zeros((2, LENGTH), np.float32))
    scale = 32768 * other.ravel() @ other.ravel() / (files["other"].ravel() @ other.ravel())
    np.testing.assert_allclose(files["other"] * scale, 32768 * other, atol=1.5)
    dataset = open_dataset(tmp_path)
    report = summarise(dataset, [check_track(track) for track in dataset.tracks])
    assert (dataset.layout, report.problems, report.n_tracks) == ("musdb18-hq", [], 1)


def test_a_class_without_a_stem_is_silence_in_musdb(tmp_path: Path) -> None:
    song = rendered(2)
    without = RenderedSong(sample_rate=RATE, stems=song.stems[:3], recipe=song.recipe)
    write_musdb(without, tmp_path)
    assert not integers(tmp_path / "vocals.wav").any()
    assert integers(tmp_path / "vocals.wav").shape == (2, LENGTH)
