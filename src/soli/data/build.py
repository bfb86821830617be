"""Build a training cache from datasets of any layout, solo recordings and MIDI files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from soli.audio import read, resample
from soli.config import from_dict
from soli.data.cache import Cache, CacheWriter, is_cache
from soli.data.classes import MUSDB_VALIDATION
from soli.data.layouts import open_dataset
from soli.data.render.excerpt import last_seconds, read_midi, render_classes
from soli.data.render.soundfonts import open_soundfont
from soli.data.tracks import Track
from soli.errors import SoliError

_AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")
_NOTE = "source.json"
_SILENCE = 10 ** (-60 / 20)
_SHORTEST_HELD_OUT = 4.0  # seconds
_RENDER_LEVELS = {"drums": -19.0, "bass": -20.0, "other": -19.0}  # dBFS, close to MUSDB18's stems
_VOICE_LEVEL = -18.0
Report = Callable[[str], None]
Labels = Literal["coarse", "fine", "stems"]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One collection of training audio, as a recipe states it.

    Attributes:
        collection: name recipes weight it by.
        kind: `dataset` (multitracks in any layout of `soli.data.layouts`), `solos` (recordings of one class) or `midi`
            (rendered through SoundFonts).
        path: the folder.
        layout: `dataset`: which; "auto" tells it by the names in the folder.
        exclude: `dataset`: songs to leave out.
        labels: `dataset`: whether a stem goes by its coarsest class, such as "other", or its finest, such as "strings";
            the stems of one class are summed. "stems" keeps every stem apart, each under its finest class.
        label: `solos`: the class.
        pattern: `solos`: which files under the folder, hidden ones aside; one that ends in no suffix, such as `**/*`,
            takes audio files alone; by default every audio file directly in it.
        bandwidth: `solos`: the highest frequency they hold, in Hz; mixtures with them are cut there.
        validation_every: `solos`: one of so many recordings is for validation; of a single one its end is; 0 for none.
        soundfonts: `midi`: one is drawn for each song.
        seconds: `midi`: length of the excerpt.
        n_songs: `midi`: at most this many songs, drawn at random.
        seed: `midi`: of every draw.
    """

    collection: str
    kind: Literal["dataset", "solos", "midi"]
    path: str
    layout: str = "auto"
    exclude: tuple[str, ...] = ()
    labels: Labels = "coarse"
    label: str = ""
    pattern: str = ""
    bandwidth: float | None = None
    validation_every: int = 0
    soundfonts: tuple[str, ...] = ()
    seconds: float = 25.0
    n_songs: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind == "solos" and not self.label:
            raise SoliError(f"collection {self.collection!r} has no label; name the class of its recordings")


def open_caches(
    folder: Path, sources: tuple[DataSource, ...], report: Report, *, sample_rate: int = 44100, n_channels: int = 2
) -> list[Cache]:
    """Open the cache of every source, decoding those that are not there yet.

    Args:
        folder: one sub-folder per collection, rate and number of channels.
        sources: what a recipe trains on.
        report: called with a line per song.
        sample_rate: of the caches, in Hz.
        n_channels: of the caches, 1 or 2.

    Returns:
        One cache per source.

    Raises:
        SoliError: for a folder without usable audio, an unknown class or a missing SoundFont.
    """
    caches = []
    for source in sources:
        place = folder / f"{source.collection}-{sample_rate}-{n_channels}"
        if not (is_cache(place) and _is_current(place, source)):
            note = asdict(source) | _files_of(source)
            with CacheWriter(place, sample_rate=sample_rate, n_channels=n_channels) as writer:
                _add(writer, source, report)
                if not writer.stems:
                    raise SoliError(f"{source.path}: no usable audio for collection {source.collection!r}")
                (place / _NOTE).unlink(missing_ok=True)  # it tells of the cache that is replaced now
            (place / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        caches.append(Cache(place))
    return caches


def _is_current(place: Path, source: DataSource) -> bool:
    """Whether a cache was built from this source, and from the files that are there now.

    A note that lists no files counts as current, and so does one whose recordings have been taken away since.
    """
    try:
        note = json.loads((place / _NOTE).read_text(encoding="utf-8"))
        files = note.pop("files", None)
        if from_dict(DataSource, note) != source:
            return False
    except (OSError, ValueError, AttributeError, SoliError):
        return False
    return files is None or not Path(source.path).is_dir() or files == _files_of(source)["files"]


def _files_of(source: DataSource) -> dict[str, list[list[str | int]]]:
    """Names and sizes of the recordings of `solos`, for the note; nothing for other kinds."""
    if source.kind != "solos":
        return {}
    folder = Path(source.path)
    paths = _recordings(folder, source.pattern)
    return {"files": [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in paths]}


def _add(writer: CacheWriter, source: DataSource, report: Report) -> None:
    """Decode one source by its kind."""
    folder, name = Path(source.path), source.collection
    if source.kind == "dataset":
        settings = {"layout": source.layout, "exclude": source.exclude, "labels": source.labels}
        add_dataset(writer, folder, name, report, **settings)
    elif source.kind == "solos":
        add_solos(
            writer,
            folder,
            name,
            report,
            label=source.label,
            pattern=source.pattern,
            bandwidth=source.bandwidth,
            validation_every=source.validation_every,
        )
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


def add_dataset(
    writer: CacheWriter,
    folder: Path,
    collection: str,
    report: Report,
    *,
    layout: str = "auto",
    exclude: tuple[str, ...] = (),
    labels: Labels = "coarse",
) -> None:
    """Add the multitracks of a dataset; stems of one class are summed unless every stem is to stay apart.

    Folders called train and validation keep their meaning, and so do the official MUSDB18 validation songs wherever
    they lie; tracks of any other split, such as test, are left out.

    Args:
        writer: an open cache.
        folder: of the dataset.
        collection: name recipes weight it by.
        report: called with one line per song.
        layout: see `soli.data.layouts`.
        exclude: songs to leave out, by name.
        labels: see `DataSource`.

    Raises:
        SoliError: for a folder that is no dataset of this layout, a stem of no known class, and damaged files.
    """
    for track in open_dataset(folder, layout).tracks:
        split = "validation" if track.name in MUSDB_VALIDATION else track.split or "train"
        if track.name in exclude or split not in ("train", "validation"):
            continue
        for name, stem in track.stems.items():
            if not stem.labels:
                raise SoliError(f"{stem.path}: {name!r} belongs to no class; see soli.data.classes")
        for label, audio in _stems_of(track, labels):
            if split == "validation" or np.abs(audio).max() > _SILENCE:
                audio = resample(torch.from_numpy(audio), track.sample_rate, writer.sample_rate).numpy()
                writer.add(audio, collection=collection, track=track.name, label=label, split=split)
        report(f"{track.name} ({split})")


def _stems_of(track: Track, labels: Labels) -> Iterator[tuple[str, np.ndarray]]:
    """Label and audio of what a track is cached as."""
    if labels == "stems":
        for name, stem in track.stems.items():
            yield stem.labels[-1], track.read(name)
        return
    place = -1 if labels == "fine" else 0
    for label in dict.fromkeys(stem.labels[place] for stem in track.stems.values()):
        yield label, track.submix(label)


def add_solos(
    writer: CacheWriter,
    folder: Path,
    collection: str,
    report: Report,
    *,
    label: str,
    pattern: str = "",
    bandwidth: float | None = None,
    validation_every: int = 0,
) -> None:
    """Add a folder of solo recordings of one class, brought to one level.

    Args:
        writer: an open cache.
        folder: holds audio files.
        collection: name recipes weight it by.
        report: called with one line when done.
        label: the class of all of them.
        pattern: see `DataSource`; such as `*/guitar.ogg`.
        bandwidth: the highest frequency they hold, in Hz; mixtures with them are cut there.
        validation_every: one of so many recordings is for validation, the first of them; of a single recording its
            last tenth is, unless that is too short to tell anything; 0 for none.

    Raises:
        SoliError: when there are no files.
    """
    paths = _recordings(folder, pattern)
    for index, path in enumerate(paths):
        audio = _load(path, writer.sample_rate)
        held_out = bool(validation_every) and len(paths) > 1 and index % validation_every == 0
        parts = {"validation" if held_out else "train": audio}
        if validation_every and len(paths) == 1:
            parts = _split_by_time(audio, round(_SHORTEST_HELD_OUT * writer.sample_rate))
        for split, part in parts.items():
            writer.add(
                part,
                collection=collection,
                track=path.relative_to(folder).with_suffix("").as_posix(),
                label=label,
                level_dbfs=_VOICE_LEVEL,
                bandwidth=bandwidth,
                coherent=False,
                split=split,
            )
    report(f"{len(paths)} recordings of {label}")


def _split_by_time(audio: np.ndarray, shortest: int) -> dict[str, np.ndarray]:
    """The last tenth of a recording `[C T]` for validation, if it has as many samples as `shortest`."""
    n_held_out = audio.shape[1] // 10
    if n_held_out < shortest:
        return {"train": audio}
    return {"train": audio[:, :-n_held_out], "validation": audio[:, -n_held_out:]}


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
            parts, tempos = read_midi(path)
            start = rng.uniform(0.0, max(last_seconds(parts, tempos) - seconds, 0.0))
            font = open_soundfont(rng.choice(soundfonts))
            stems = render_classes(parts, tempos, font, start=start, seconds=seconds, sample_rate=writer.sample_rate)
        except SoliError as error:
            report(str(error))
            continue
        for label, audio in stems.items():
            if np.abs(audio).max() > _SILENCE:
                level = _RENDER_LEVELS[label]
                writer.add(audio, collection=collection, track=track, label=label, level_dbfs=level)
        if index % 50 == 49:
            report(f"{index + 1} songs rendered")


def _recordings(folder: Path, pattern: str) -> list[Path]:
    """The files of `solos`, sorted; what is hidden, or in a hidden folder, is none of them."""
    if not folder.is_dir():
        raise SoliError(f"{folder}: not a folder")
    found = sorted(path for path in folder.glob(pattern or "*") if path.is_file() and not _hidden(path, folder))
    if not Path(pattern).suffix:
        found = [path for path in found if path.suffix.lower() in _AUDIO_SUFFIXES]
    if not found:
        ending = "" if Path(pattern).suffix else f"ending in {', '.join(_AUDIO_SUFFIXES)}"
        raise SoliError(f"{folder}: no files {ending or repr(pattern)}")
    return found


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _load(path: Path, sample_rate: int) -> np.ndarray:
    waveform, rate = read(path)
    return resample(waveform, rate, sample_rate).numpy()
