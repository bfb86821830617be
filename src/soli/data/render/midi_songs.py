"""The user's MIDI files: which of them will do, which excerpt of each, and which split it belongs to.

A file belongs to a split by the hash of its notes, before any excerpt is taken: equal songs under two names can never
be in two splits, and files that are added later leave the others where they are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from soli.data.compose.score import stream
from soli.data.render.families import family, is_full_band
from soli.data.render.recipe import Recipe, Split
from soli.errors import SoliError

SHORTEST_SECONDS = 12.0
"""Files that are not longer are left out, as the usual protocols for Slakh2100 do."""

_FEWEST_NOTES = 8  # with fewer in an excerpt, a part is not held to play in it
_ATTEMPTS = 8
_EARLY = 0.05  # seconds before the first note
_PER_BEAT = 48  # times within this part of a beat are one, when notes are compared


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a MIDI file: path below the user's folder, start and length in seconds, and if it is all of it."""

    path: str
    start_seconds: float
    seconds: float
    whole: bool


@dataclass
class MidiSongs:
    """What a folder holds.

    Attributes:
        excerpts: split -> one of each of its files, in an order drawn by the seed.
        left_out: reason -> how many files.
        digest: SHA-256 over names and notes of all that can be read.
    """

    excerpts: dict[str, list[Excerpt]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    digest: str = ""


@dataclass(frozen=True)
class _Part:
    family: str
    starts: np.ndarray  # seconds, of all notes


def find_midi_songs(folder: Path, recipe: Recipe) -> MidiSongs:
    """Read all MIDI files below a folder.

    Args:
        folder: of the user.
        recipe: whose splits they are for.

    Returns:
        Excerpts by split.

    Raises:
        SoliError: when symusic is missing, for a path that is no folder, and a folder without MIDI files.
    """
    if not folder.is_dir():
        raise SoliError(f"{folder}: {'not a folder' if folder.exists() else 'there is no such folder'}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    if not paths:
        raise SoliError(f"{folder}: no MIDI files; looked for names ending in .mid or .midi")
    songs = MidiSongs({name: [] for name in recipe.splits})
    seen: dict[str, str] = {}
    for path in paths:
        score = _read(path)
        if score is None:
            songs.left_out["unreadable"] += 1
            continue
        notes = _hash_notes(score)
        if notes in seen:
            songs.left_out["the same as another"] += 1
            continue
        seen[notes] = path.relative_to(folder).as_posix()
        name = _split_of(notes, recipe)
        excerpt = _excerpt(score, seen[notes], recipe.splits[name], stream(recipe.seed, "excerpt", notes))
        if isinstance(excerpt, str):
            songs.left_out[excerpt] += 1
        else:
            songs.excerpts[name].append(excerpt)
    order = {path: notes for notes, path in seen.items()}
    for excerpts in songs.excerpts.values():
        excerpts.sort(key=lambda excerpt: order[excerpt.path])
    songs.digest = hashlib.sha256("\n".join(f"{notes} {path}" for notes, path in seen.items()).encode()).hexdigest()
    return songs


def _read(path: Path) -> Any:
    """The score; None for what is no MIDI file."""
    try:
        import symusic
    except ImportError as error:
        raise SoliError("rendering MIDI needs symusic: pip install 'soli[render]'") from error
    try:
        score: Any = symusic.Score.from_midi(path.read_bytes())
        _ = [track.name for track in score.tracks]  # names are decoded when they are asked for
        return score
    except (OSError, RuntimeError, ValueError):
        return None


def _hash_notes(score: Any) -> str:
    """Equal for files with the same notes by the same instruments, whatever else is in them."""
    rows = []
    for track in score.tracks:
        notes = track.notes.numpy()
        program = 128 if track.is_drum else track.program
        beats = np.round(notes["time"] * (_PER_BEAT / score.ticks_per_quarter))
        rows.append(np.stack([beats.astype(np.int64), notes["pitch"], np.full(len(beats), program)]))
    table = np.unique(np.concatenate([*rows, np.zeros((3, 0), np.int64)], axis=1).astype("<i8"), axis=1)
    return hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest()


def _split_of(notes: str, recipe: Recipe) -> str:
    """The split of a file; as many files as a split weighs."""
    weights = {name: split.weight for name, split in recipe.splits.items()}
    total = sum(weights.values())
    if not total:
        return next(iter(recipe.splits))
    return stream(recipe.seed, "split", notes).choices(list(weights), list(weights.values()))[0]


def _excerpt(score: Any, path: str, split: Split, rng: Any) -> Excerpt | str:
    """The stretch to render, or why there is none."""
    timed = score.to("Second")
    arrays = [(family(track.program, is_drum=track.is_drum), track.notes.numpy()) for track in timed.tracks]
    parts = [_Part(name, notes["time"]) for name, notes in arrays if len(notes["time"])]
    begin = min((float(part.starts.min()) for part in parts), default=0.0)
    end = max((float((n["time"] + n["duration"]).max()) for _, n in arrays if len(n["time"])), default=0.0)
    length = end - begin
    if length <= SHORTEST_SECONDS:
        return f"of {SHORTEST_SECONDS:g} s or less"
    whole = length <= split.seconds[1]
    for _ in range(1 if whole else _ATTEMPTS):
        seconds = length if whole else rng.uniform(*split.seconds)
        start = begin if whole else begin + rng.uniform(0.0, length - seconds)
        if _will_do(parts, start, start + seconds, split):
            return Excerpt(path, max(start - _EARLY, 0.0), seconds, whole)
    return "without a full band" if split.full_band else "with less than two families of instruments"


def _will_do(parts: Sequence[_Part], start: float, end: float, split: Split) -> bool:
    """Whether enough of the band plays between two times."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts[part.family] += int(np.count_nonzero((part.starts >= start) & (part.starts < end)))
    families = {name for name, count in counts.items() if count >= _FEWEST_NOTES}
    return is_full_band(families) if split.full_band else len(families) >= 2
