"""Build a training cache from folders of stems, solo recordings and MIDI files."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from soli.audio import read, read_streams, resample
from soli.data.cache import SAMPLE_RATE, CacheWriter
from soli.data.classes import MUSDB_STREAMS, MUSDB_VALIDATION, class_of
from soli.data.render import midi_seconds, render_stems
from soli.errors import SoliError

_AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")
_SILENCE = 10 ** (-60 / 20)
_RENDER_LEVELS = {"drums": -19.0, "bass": -20.0, "other": -19.0}  # dBFS, close to MUSDB18's stems
_VOICE_LEVEL = -18.0
Report = Callable[[str], None]


def add_musdb(writer: CacheWriter, folder: Path, collection: str, report: Report) -> None:
    """Add a folder of MUSDB18 `.stem.mp4` files; the 14 official validation songs keep their split.

    Args:
        writer: an open cache.
        folder: holds `.stem.mp4` files with the five MUSDB18 streams.
        collection: name recipes weight it by.
        report: called with one line per file.
    """
    for path in _files(folder, (".mp4",)):
        name = path.name.removesuffix(".stem.mp4")
        split = "validation" if name in MUSDB_VALIDATION else "train"
        streams = dict(zip(MUSDB_STREAMS, read_streams(path), strict=True))
        for label in MUSDB_STREAMS[1:]:
            audio = streams[label].numpy()
            if split == "validation" or np.abs(audio).max() > _SILENCE:
                writer.add(audio, collection=collection, track=name, label=label, split=split)
        report(f"{name} ({split})")


def add_stem_folders(
    writer: CacheWriter, folder: Path, collection: str, report: Report, *, exclude: Iterable[str] = ()
) -> None:
    """Add a folder with one sub-folder per song and one file per stem; stems of one class are summed.

    Args:
        writer: an open cache.
        folder: holds one folder per song.
        collection: name recipes weight it by.
        report: called with one line per song.
        exclude: songs to leave out, by folder name.

    Raises:
        SoliError: for a file name that belongs to no class.
    """
    for song in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in set(exclude)):
        stems: dict[str, np.ndarray] = {}
        for path in _files(song, _AUDIO_SUFFIXES):
            label = class_of(path.stem)
            if label is None:
                raise SoliError(f"{path}: {path.stem!r} belongs to no class; see soli.data.classes")
            audio = _load(path)
            stems[label] = _sum(stems[label], audio) if label in stems else audio
        for label, audio in stems.items():
            if np.abs(audio).max() > _SILENCE:
                writer.add(audio, collection=collection, track=song.name, label=label)
        report(song.name)


def add_solos(
    writer: CacheWriter, folder: Path, collection: str, report: Report, *, label: str, bandwidth: float
) -> None:
    """Add a folder of solo recordings of one class, brought to one level.

    Args:
        writer: an open cache.
        folder: holds audio files.
        collection: name recipes weight it by.
        report: called with one line when done.
        label: the class of all of them.
        bandwidth: the highest frequency they hold, in Hz; mixtures with them are cut there.
    """
    paths = _files(folder, _AUDIO_SUFFIXES)
    for path in paths:
        writer.add(
            _load(path),
            collection=collection,
            track=path.stem,
            label=label,
            level_dbfs=_VOICE_LEVEL,
            bandwidth=bandwidth,
            coherent=False,
        )
    report(f"{len(paths)} recordings of {label}")


def add_midi(
    writer: CacheWriter,
    folder: Path,
    collection: str,
    report: Report,
    *,
    soundfonts: tuple[Path, ...],
    seconds: float,
    n_songs: int,
    seed: int,
) -> None:
    """Render one excerpt of each MIDI song to drums, bass and other.

    Args:
        writer: an open cache.
        folder: searched recursively for `.mid` files.
        collection: name recipes weight it by.
        report: called with one line per 50 songs and for each unreadable file.
        soundfonts: one is drawn for each song.
        seconds: length of the excerpt.
        n_songs: at most this many songs, drawn at random.
        seed: of every draw.
    """
    rng = random.Random(seed)
    songs = sorted(folder.rglob("*.mid"))
    rng.shuffle(songs)
    for index, path in enumerate(songs[:n_songs]):
        try:
            start = rng.uniform(0.0, max(midi_seconds(path) - seconds, 0.0))
            stems = render_stems(path, rng.choice(soundfonts), start=start, seconds=seconds)
        except SoliError as error:
            report(str(error))
            continue
        for label, audio in stems.items():
            if np.abs(audio).max() > _SILENCE:
                level = _RENDER_LEVELS[label]
                writer.add(audio, collection=collection, track=path.stem, label=label, level_dbfs=level)
        if index % 50 == 49:
            report(f"{index + 1} songs rendered")


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        raise SoliError(f"{folder}: not a folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise SoliError(f"{folder}: no files ending in {', '.join(suffixes)}")
    return found


def _load(path: Path) -> np.ndarray:
    waveform, rate = read(path)
    return resample(waveform, rate, SAMPLE_RATE).numpy()


def _sum(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    n_channels, n_samples = (max(a, b) for a, b in zip(first.shape, second.shape, strict=True))
    out = np.zeros((n_channels, n_samples), np.float32)
    for audio in (first, second):
        out[:, : audio.shape[1]] += audio  # a mono take spreads to both channels
    return out
