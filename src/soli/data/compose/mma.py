"""Accompaniment by `mma`, an external program with hundreds of band grooves, under a tune of our own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from soli.data.compose.harmony import PITCH_NAMES, Chord
from soli.data.compose.humanise import SHORTEST_BEATS, tidied
from soli.data.compose.midi import from_midi
from soli.data.compose.score import Note, Part, Song
from soli.data.compose.song import compose
from soli.errors import SoliError

GROOVES = {
    "pop": "8Beat",
    "rock": "BasicRock",
    "metal": "60sRock",
    "funk": "BVFunk",
    "jazz": "Swing",
    "bossa": "BossaNova",
    "electronic": "Trance",
    "ballad": "PopBallad",
    "reggae": "Ska",
    "blues": "Blues",
}
"""Style -> groove of mma's standard library, in 4/4."""
_OTHER_METRES = {"3/4": "JazzWaltz", "6/8": "Ballad68"}
_BAR_BEATS = {"4/4": 4, "3/4": 3, "6/8": 4}  # how mma counts; its 6/8 ballad has four beats of three

_SUFFIXES = {
    (0, 4, 7): "",
    (0, 3, 7): "m",
    (0, 3, 6): "dim3",
    (0, 7): "5",
    (0, 2, 7): "sus2",
    (0, 5, 7): "sus4",
    (0, 4, 7, 9): "6",
    (0, 3, 7, 9): "m6",
    (0, 4, 7, 10): "7",
    (0, 3, 7, 10): "m7",
    (0, 4, 7, 11): "maj7",
    (0, 3, 6, 9): "dim7",
    (0, 3, 6, 10): "m7b5",
    (0, 5, 7, 10): "7sus4",
    (0, 4, 7, 14): "add9",
    (0, 4, 7, 10, 14): "9",
    (0, 3, 7, 10, 14): "m9",
    (0, 4, 7, 11, 14): "maj9",
}


def compose_with_mma(seed: int, style: str | None = None, seconds: float = 180.0) -> Song:
    """Write a song as `compose` does, then let `mma` play everything but the tune.

    Args:
        seed: of the song, and of mma's own chances.
        style: a key of `STYLES`; drawn by the seed when None.
        seconds: its length.

    Returns:
        The song; lead and vocals are ours, the other parts are mma's under its names, and may lie outside
        the ranges and classes of `INSTRUMENTS`.

    Raises:
        SoliError: when `mma` is not installed or refuses, and as in `compose`.
    """
    executable = shutil.which("mma")
    if executable is None:
        raise SoliError("no program called mma on the PATH: install the package 'mma' (Debian: apt install mma)")
    song = compose(seed, style, seconds)
    with tempfile.TemporaryDirectory() as folder:
        chart, played = Path(folder, "song.mma"), Path(folder, "song.mid")
        chart.write_text(mma_chart(song))
        run = subprocess.run([executable, "-f", str(played), str(chart)], capture_output=True, text=True, check=False)
        if run.returncode != 0 or not played.exists():
            lines = (run.stdout + run.stderr).split("\n")
            reason = " ".join(line.strip() for line in lines if line.strip() and not line.startswith("Warning"))
            raise SoliError(f"mma refused the chart of seed {seed}: {reason or 'no reason given'}")
        parts, _ = from_midi(played.read_bytes())
    stretch = song.metre.bar_beats / _BAR_BEATS[song.metre.name]
    accompaniment = (_stretched(part, stretch, song.end_beats) for part in parts)
    tunes = (part for part in song.parts if part.name in ("lead", "vocals"))
    return replace(song, parts=tuple(part for part in (*accompaniment, *tunes) if part.notes))


def mma_chart(song: Song) -> str:
    """The chords of a song in mma's language.

    Args:
        song: any song.

    Returns:
        Text, one bar per line; `/` repeats the chord of the beat before.
    """
    groove = _OTHER_METRES.get(song.metre.name, GROOVES[song.style])
    lines = [f"RndSeed {song.seed}", f"Tempo {round(song.tempos[0].bpm)}", f"Groove {groove}"]
    n_beats = _BAR_BEATS[song.metre.name]
    for section in song.sections:
        for bar in range(section.n_bars):
            start = section.bar_start(bar)
            chords = [section.span_at(start + i * section.metre.bar_beats / n_beats).chord for i in range(n_beats)]
            names = [
                "/" if index and chord == chords[index - 1] else _chord_name(chord)
                for index, chord in enumerate(chords)
            ]
            lines.append(f"{len(lines) - 2} {' '.join(names)}")
    return "\n".join(lines) + "\n"


def _chord_name(chord: Chord) -> str:
    name = PITCH_NAMES[chord.root] + _SUFFIXES[chord.intervals]
    return name if chord.bass == chord.root else f"{name}/{PITCH_NAMES[chord.bass]}"


def _stretched(part: Part, stretch: float, end_beats: float) -> Part:
    """Drum notes of mma last a tick, too short to keep otherwise."""
    notes = [
        Note(n.start_beats * stretch, max(n.length_beats * stretch, SHORTEST_BEATS), n.pitch, n.velocity)
        for n in part.notes
    ]
    return replace(part, notes=tidied(notes, end_beats=end_beats))
