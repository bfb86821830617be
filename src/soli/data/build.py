"""Build a training cache from folders of stems, solo recordings and MIDI files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from soli.audio import read, read_streams, resample
from soli.data.cache import SAMPLE_RATE, Cache, CacheWriter, is_cache
from soli.data.classes import CLASSES, MUSDB_STREAMS, MUSDB_VALIDATION, class_of
from soli.data.render import midi_seconds, render_stems
from soli.errors import SoliError

_AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")
_MIXTURES = ("mixture", "mix")
_NOTE = "source.json"
_SILENCE = 10 ** (-60 / 20)
_RENDER_LEVELS = {"drums": -19.0, "bass": -20.0, "other": -19.0}  # dBFS, close to MUSDB18's stems
_VOICE_LEVEL = -18.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One collection of training audio, as a recipe states it.

    Attributes:
        collection: name recipes weight it by.
        kind: `musdb` (`.stem.mp4` files), `stems` (a folder per song, a file per stem), `solos` (recordings
            of one class) or `midi` (rendered through SoundFonts).
        path: the folder.
        exclude: `stems`: songs to leave out.
        label: `solos`: the class.
        pattern: `solos`: which files under the folder; by default every audio file directly in it.
        bandwidth: `solos`: the highest frequency they hold, in Hz; mixtures with them are cut there.
        soundfonts: `midi`: one is drawn for each song.
        seconds: `midi`: length of the excerpt.
        n_songs: `midi`: at most this many songs, drawn at random.
        seed: `midi`: of every draw.
    """

    collection: str
    kind: Literal["musdb", "stems", "solos", "midi"]
    path: str
    exclude: tuple[str, ...] = ()
    label: str = ""
    pattern: str = ""
    bandwidth: float = SAMPLE_RATE / 2
    soundfonts: tuple[str, ...] = ()
    seconds: float = 25.0
    n_songs: int = 500
    seed: int = 0


def open_caches(folder: Path, sources: tuple[DataSource, ...], report: Report) -> list[Cache]:
    """Open the cache of every source, decoding those that are not there yet.

    Args:
        folder: one sub-folder per collection.
        sources: what a recipe trains on.
        report: called with a line per song.

    Returns:
        One cache per source.

    Raises:
        SoliError: for a folder without usable audio, an unknown class or a missing SoundFont.
    """
    caches = []
    for source in sources:
        place = folder / source.collection
        if not (is_cache(place) and _note(place) == asdict(source)):
            with CacheWriter(place) as writer:
                _add(writer, source, report)
                if not writer.stems:
                    raise SoliError(f"{source.path}: no usable audio for collection {source.collection!r}")
            (place / _NOTE).write_text(json.dumps(asdict(source)), encoding="utf-8")
        caches.append(Cache(place))
    return caches


def _note(place: Path) -> dict[str, object]:
    """What a cache was built from; a recipe that says otherwise now builds it anew."""
    try:
        note = json.loads((place / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in note.items()}


def _add(writer: CacheWriter, source: DataSource, report: Report) -> None:
    """Decode one source by its kind."""
    folder, name = Path(source.path), source.collection
    if source.kind == "musdb":
        add_musdb(writer, folder, name, report)
    elif source.kind == "stems":
        add_stem_folders(writer, folder, name, report, exclude=source.exclude)
    elif source.kind == "solos":
        add_solos(writer, folder, name, report, label=source.label, pattern=source.pattern, bandwidth=source.bandwidth)
    else:
        fonts = tuple(Path(font) for font in source.soundfonts)
        add_midi(
            writer,
            folder,
            name,
            report,
            soundfonts=fonts,
            seconds=source.seconds,
            n_songs=source.n_songs,
            seed=source.seed,
        )


def add_musdb(writer: CacheWriter, folder: Path, collection: str, report: Report) -> None:
    """Add a folder of MUSDB18 `.stem.mp4` files; the 14 official validation songs keep their split.

    Args:
        writer: an open cache.
        folder: holds `.stem.mp4` files with the five MUSDB18 streams.
        collection: name recipes weight it by.
        report: called with one line per file.

    Raises:
        SoliError: for a file that has not the five streams.
    """
    for path in _files(folder, (".mp4",)):
        name = path.name.removesuffix(".stem.mp4")
        split = _split(name)
        streams = read_streams(path)
        if len(streams) != len(MUSDB_STREAMS):
            raise SoliError(f"{path}: {len(streams)} audio streams; a MUSDB18 file has {len(MUSDB_STREAMS)}")
        for label, stream in zip(MUSDB_STREAMS[1:], streams[1:], strict=True):
            audio = stream.numpy()
            if split == "validation" or np.abs(audio).max() > _SILENCE:
                writer.add(audio, collection=collection, track=name, label=label, split=split)
        report(f"{name} ({split})")


def add_stem_folders(
    writer: CacheWriter, folder: Path, collection: str, report: Report, *, exclude: tuple[str, ...] = ()
) -> None:
    """Add a folder with one sub-folder per song and one file per stem; stems of one class are summed.

    A file of the mixture itself is passed over. The official MUSDB18 validation songs keep their split.

    Args:
        writer: an open cache.
        folder: holds one folder per song.
        collection: name recipes weight it by.
        report: called with one line per song.
        exclude: songs to leave out, by folder name.

    Raises:
        SoliError: for a missing folder, and a file name that belongs to no class.
    """
    if not folder.is_dir():
        raise SoliError(f"{folder}: not a folder")
    for song in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in exclude):
        stems: dict[str, np.ndarray] = {}
        for path in _files(song, _AUDIO_SUFFIXES):
            if path.stem.lower() in _MIXTURES:
                continue
            label = class_of(path.stem)
            if label is None:
                raise SoliError(f"{path}: {path.stem!r} belongs to no class; see soli.data.classes")
            audio = _load(path)
            stems[label] = _sum(stems[label], audio) if label in stems else audio
        split = _split(song.name)
        for label, audio in stems.items():
            if split == "validation" or np.abs(audio).max() > _SILENCE:
                writer.add(audio, collection=collection, track=song.name, label=label, split=split)
        report(f"{song.name} ({split})")


def add_solos(
    writer: CacheWriter,
    folder: Path,
    collection: str,
    report: Report,
    *,
    label: str,
    pattern: str = "",
    bandwidth: float = SAMPLE_RATE / 2,
) -> None:
    """Add a folder of solo recordings of one class, brought to one level.

    Args:
        writer: an open cache.
        folder: holds audio files.
        collection: name recipes weight it by.
        report: called with one line when done.
        label: the class of all of them.
        pattern: which files under the folder, such as `*/guitar.ogg`; by default every audio file directly in it.
        bandwidth: the highest frequency they hold, in Hz; mixtures with them are cut there.

    Raises:
        SoliError: for a label that is no class, and when there are no files.
    """
    if label not in CLASSES:
        raise SoliError(f"label {label!r} of collection {collection!r}; allowed: {', '.join(CLASSES)}")
    paths = sorted(folder.glob(pattern)) if pattern else _files(folder, _AUDIO_SUFFIXES)
    if not paths:
        raise SoliError(f"{folder}: no files {pattern!r}")
    for path in paths:
        writer.add(
            _load(path),
            collection=collection,
            track=path.relative_to(folder).with_suffix("").as_posix(),
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

    Raises:
        SoliError: when a SoundFont or all MIDI files are missing.
    """
    rng = random.Random(seed)
    songs = sorted(folder.rglob("*.mid"))
    missing = [font for font in soundfonts if not font.is_file()]
    if missing or not soundfonts or not songs:
        raise SoliError(f"{missing[0] if missing else folder}: rendering needs SoundFonts and a folder of .mid files")
    rng.shuffle(songs)
    for index, path in enumerate(songs[:n_songs]):
        track = path.relative_to(folder).with_suffix("").as_posix()  # file names alone repeat
        try:
            start = rng.uniform(0.0, max(midi_seconds(path) - seconds, 0.0))
            stems = render_stems(path, rng.choice(soundfonts), start=start, seconds=seconds)
        except SoliError as error:
            report(str(error))
            continue
        for label, audio in stems.items():
            if np.abs(audio).max() > _SILENCE:
                level = _RENDER_LEVELS[label]
                writer.add(audio, collection=collection, track=track, label=label, level_dbfs=level)
        if index % 50 == 49:
            report(f"{index + 1} songs rendered")


def _split(song: str) -> str:
    return "validation" if song in MUSDB_VALIDATION else "train"


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
