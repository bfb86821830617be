"""The list of songs of a dataset: a pure function of its recipe and of the user's MIDI files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from soli.data.compose import STYLES, compose
from soli.data.compose.score import Part, Tempo, stream
from soli.data.render.excerpt import read_midi
from soli.data.render.families import family, is_full_band
from soli.data.render.midi_songs import MidiSongs
from soli.data.render.recipe import Recipe, Split
from soli.errors import SoliError

_NUMBERS = 10_000
"""Tracks of the n-th split are numbered from n times this on, which Slakh2100 with its 2100 tracks never reaches."""

_ATTEMPTS = 50


@dataclass(frozen=True, kw_only=True)
class PlannedSong:
    """All that a worker needs to know of a song.

    Attributes:
        split: name of its split.
        name: of its folder, unique within the dataset's splits.
        seed: of everything that is drawn for it.
        seconds: its length.
        style: of a composed song; empty for others.
        midi: path of its file below the user's folder; empty for a composed song.
        start_seconds: where in that file it begins.
        whole: whether it is not cut off at its end.
        full_band: see `Split`.
    """

    split: str
    name: str
    seed: int
    seconds: float
    style: str = ""
    midi: str = ""
    start_seconds: float = 0.0
    whole: bool = True
    full_band: bool = False

    @property
    def place(self) -> str:
        """Its folder below that of the dataset."""
        return f"{self.split}/{self.name}"


def plan(recipe: Recipe, midi: MidiSongs | None, subset: str | None = None) -> list[PlannedSong]:
    """List the songs.

    Args:
        recipe: of the dataset.
        midi: the user's files.
        subset: see `Recipe.parts`.

    Returns:
        Split after split. A subset has the songs that it has in the whole.

    Raises:
        SoliError: for an unknown subset.
    """
    songs: list[PlannedSong] = []
    wanted = recipe.parts(subset)
    for position, (name, split) in enumerate(recipe.splits.items(), start=1):
        if name in wanted:
            songs += _plan_split(recipe, position, name, split, midi)[: wanted[name]]
    return songs


def _plan_split(recipe: Recipe, position: int, name: str, split: Split, midi: MidiSongs | None) -> list[PlannedSong]:
    """Songs until the split is as large as it shall be."""
    files = list(reversed(midi.excerpts[name])) if midi else []
    songs: list[PlannedSong] = []
    seconds = 0.0
    while len(songs) < split.songs if split.songs is not None else seconds < 3600 * (split.hours or 0.0):
        index = len(songs)
        rng = stream(recipe.seed, name, index)
        seed = rng.getrandbits(48)
        track = f"Track{position * _NUMBERS + index + 1}"
        if files and math.floor((index + 1) * split.midi) > math.floor(index * split.midi):
            excerpt = files.pop()
            song = PlannedSong(
                split=name,
                name=track,
                seed=seed,
                seconds=excerpt.seconds,
                midi=excerpt.path,
                start_seconds=excerpt.start_seconds,
                whole=excerpt.whole,
            )
        else:
            length = round(rng.uniform(*split.seconds), 1)
            style = rng.choice(split.styles or tuple(STYLES))
            song = PlannedSong(
                split=name, name=track, seed=seed, seconds=length, style=style, full_band=split.full_band
            )
        songs.append(song)
        seconds += song.seconds
    return songs


def parts_of(song: PlannedSong, midi: Path | None) -> tuple[tuple[Part, ...], tuple[Tempo, ...]]:
    """Compose a song, or read it.

    Args:
        song: from `plan`.
        midi: the user's folder, for songs that come from there.

    Returns:
        All its parts, of a MIDI file those of the whole file, and its tempo map.

    Raises:
        SoliError: for a file that cannot be read any more.
    """
    if not song.midi:
        return _composed(song)
    return read_midi((midi or Path()) / song.midi)


def _composed(song: PlannedSong) -> tuple[tuple[Part, ...], tuple[Tempo, ...]]:
    """The first composition whose band will do."""
    for attempt in range(_ATTEMPTS):
        composed = compose(song.seed + attempt, song.style, song.seconds)
        families = {family(part.program, is_drum=part.is_drum) for part in composed.parts}
        if is_full_band(families) or not song.full_band:
            return composed.parts, composed.tempos
    raise SoliError(f"style {song.style!r}: no band with a guitar or a piano in {_ATTEMPTS} songs; leave the style out")
