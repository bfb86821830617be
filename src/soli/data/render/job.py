"""Render a dataset: every song of its list by some worker, whole or not at all, and gone on with after any end."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from soli import __version__
from soli.config import to_dict
from soli.data.render.midi_songs import MidiSongs, find_midi_songs
from soli.data.render.musdb_writer import write_musdb
from soli.data.render.palette import Palette
from soli.data.render.recipe import Recipe, check_recipe
from soli.data.render.slakh_writer import write_slakh
from soli.data.render.song import RenderConfig, render_song
from soli.data.render.songs import PlannedSong, parts_of, plan
from soli.data.render.sounds import digest, find_kit, find_soundfont, find_voices
from soli.data.render.tree import open_tree, whole_folder
from soli.errors import SoliError
from soli.parallel import Engine

_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD = -4, -1, -2  # of mallopt(3)
_MAX_CRASHES = 3
"""So many songs in a row that fail by no fault of the user are no accident."""

Progress = Callable[[float, float, str], None]
"""Called with the seconds of audio done, those of the whole job, and the song that was done last."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every worker is given.

    Attributes:
        root: of the dataset.
        recipe: of the dataset.
        midi: the user's folder of MIDI files.
        palettes: by split.
    """

    root: Path
    recipe: Recipe
    midi: Path | None
    palettes: dict[str, Palette]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a worker says of a song.

    Attributes:
        seconds: of audio.
        error: what the user can mend; empty when the song is there.
    """

    seconds: float = 0.0
    error: str = ""


@dataclass(kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        songs: rendered.
        seconds: of their audio.
        elapsed_seconds: by the clock.
        found: songs that were there already.
        left_out: reason -> MIDI files that were not used for it.
        composed_instead: songs that were composed as the MIDI files did not suffice.
        failed: song -> why it could not be rendered.
    """

    songs: int = 0
    seconds: float = 0.0
    elapsed_seconds: float = 0.0
    found: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    composed_instead: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def render_dataset(
    recipe: Recipe,
    root: Path,
    engine: Engine,
    *,
    midi: Path | None = None,
    folders: tuple[Path, ...] = (),
    subset: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Render a dataset, or what is missing of it.

    Args:
        recipe: what it holds.
        root: its folder, new or begun by an earlier run with the same arguments; `subset` may differ.
        engine: does the work; for workers on other machines all paths must be the same there.
        midi: a folder of MIDI files.
        folders: searched for SoundFonts, drum kits and voices before those of the system.
        subset: see `Recipe.parts`.
        progress: called at the start and after every song.

    Returns:
        What was done.

    Raises:
        SoliError: for a recipe, sounds or MIDI files that cannot be used, and a folder that cannot be: see `open_tree`;
            when the disk is full. Songs that are finished stay.
    """
    began = time.monotonic()
    check_recipe(recipe)
    found = None if midi is None else find_midi_songs(midi, recipe)
    songs = plan(recipe, found, subset)
    palettes = {name: _palette(recipe, name, folders) for name in dict.fromkeys(song.split for song in songs)}
    # Absolute paths: a worker on a cluster begins elsewhere.
    job = Job(root=root.absolute(), recipe=recipe, midi=None if midi is None else midi.absolute(), palettes=palettes)
    summary = Summary(left_out=dict(found.left_out) if found else {})
    summary.composed_instead = _composed_instead(recipe, songs) if found else 0
    with open_tree(root, _state(job, found), recipe.splits):
        missing = [song for song in songs if not (root / song.place).is_dir()]
        summary.found = len(songs) - len(missing)
        _run(job, engine, songs, missing, summary, progress or (lambda *_: None))
    summary.elapsed_seconds = time.monotonic() - began
    return summary


def _palette(recipe: Recipe, name: str, folders: tuple[Path, ...]) -> Palette:
    """The sounds of a split, which are checked here."""
    split = recipe.splits[name]
    return Palette(
        soundfonts=tuple(find_soundfont(sound, folders).absolute() for sound in split.soundfonts),
        kits=tuple(find_kit(sound, folders).absolute() for sound in split.kits),
        voices=tuple(find_voices(sound, folders).absolute() for sound in split.voices),
    )


def _state(job: Job, midi: MidiSongs | None) -> dict[str, Any]:
    """All that decides about the bytes, for the next run to compare."""
    digests = {}
    for name, palette in job.palettes.items():
        split = job.recipe.splits[name]
        named = (*split.soundfonts, *split.kits, *split.voices)
        for sound, path in zip(named, (*palette.soundfonts, *palette.kits, *palette.voices), strict=True):
            if sound not in digests:
                digests[sound] = digest(path)
    return {
        "soli": __version__,
        "recipe": to_dict(job.recipe),
        "midi": None if midi is None else midi.digest,
        "sounds": dict(sorted(digests.items())),
    }


def _composed_instead(recipe: Recipe, songs: list[PlannedSong]) -> int:
    """Songs that were to come from MIDI files."""
    composed = 0
    for name, split in recipe.splits.items():
        its = [song for song in songs if song.split == name]
        composed += max(int(len(its) * split.midi) - sum(bool(song.midi) for song in its), 0)
    return composed


def _run(
    job: Job, engine: Engine, songs: list[PlannedSong], missing: list[PlannedSong], summary: Summary, progress: Progress
) -> None:
    """Have the missing songs rendered, and count."""
    total = sum(song.seconds for song in songs)
    done = total - sum(song.seconds for song in missing)
    crashes = 0
    progress(done, total, "")
    for outcome in engine.map(partial(_prepared, job), _render, missing):
        song = outcome.unit
        if outcome.value is None:
            summary.failed[song.place] = outcome.error or "no result"
            crashes += 1
            if crashes == _MAX_CRASHES:
                raise SoliError(f"{song.place}: {outcome.error}; given up after {crashes} songs in a row")
            continue
        if outcome.value.error:
            raise SoliError(outcome.value.error)
        crashes = 0
        summary.songs += 1
        summary.seconds += outcome.value.seconds
        done += song.seconds
        progress(done, total, song.place)


def _prepared(job: Job) -> Job:
    """What a worker does before its first song."""
    _keep_memory()
    return job


def _keep_memory() -> None:
    """Have the C library keep freed memory: getting it back page by page takes as long as rendering a large song."""
    with suppress(OSError, AttributeError, TypeError):  # only where that is glibc
        allocator = ctypes.CDLL(None).mallopt
        allocator(_M_MMAP_MAX, 0)
        allocator(_M_TRIM_THRESHOLD, 2**31 - 1)
        allocator(_M_TOP_PAD, 2**28)


def _render(job: Job, song: PlannedSong) -> Done:
    """Render one song; what the user can mend is told apart from what crashes."""
    try:
        return Done(seconds=_render_song(job, song))
    except SoliError as error:
        return Done(error=str(error))


def _render_song(job: Job, song: PlannedSong) -> float:
    """Render and write one song; the result is its length in seconds."""
    recipe = job.recipe
    place = job.root / song.place
    if place.is_dir():  # the worker that did it died before it could say so
        return song.seconds
    parts, tempos = parts_of(song, job.midi)
    rendered = render_song(
        parts,
        tempos,
        job.palettes[song.split],
        RenderConfig(
            sample_rate=recipe.sample_rate,
            n_channels=recipe.n_channels,
            humanise=recipe.humanise if song.midi else 0.0,  # what is composed is played by hands already
            keep_program=recipe.keep_program,
            effects=recipe.effects,
            synthesizer=recipe.synthesizer,
        ),
        seed=song.seed,
        start_seconds=song.start_seconds,
        seconds=None if song.whole else song.seconds,
        drum_pieces=recipe.drum_pieces,
    )
    about = {"split": song.split, "source": song.midi or f"composed, {song.style}", "start_seconds": song.start_seconds}
    with whole_folder(place) as folder:
        if recipe.layout == "musdb":
            write_musdb(rendered, folder)
        else:
            start = song.start_seconds
            write_slakh(rendered, folder, tempos=tempos, start_seconds=start, about=about, submixes=recipe.submixes)
    return rendered.stems[0].audio.shape[-1] / rendered.sample_rate
