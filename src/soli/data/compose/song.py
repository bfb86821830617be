"""`compose`: a seed becomes a song."""

from __future__ import annotations

import random

from soli.data.compose.band import Player, draw_activity, draw_band
from soli.data.compose.bass import bass_line
from soli.data.compose.comping import comp
from soli.data.compose.drums import drum_pattern
from soli.data.compose.form import draw_sections
from soli.data.compose.harmony import Key
from soli.data.compose.humanise import Feel, humanise
from soli.data.compose.instruments import DRUMS, INSTRUMENTS
from soli.data.compose.melody import Compass, draw_theme, melody
from soli.data.compose.score import Metre, Note, Part, Section, Song, Tempo, draw, seconds_at, stream
from soli.data.compose.styles import STYLES, Style
from soli.errors import SoliError

SHORTEST, LONGEST = 15.0, 3600.0  # seconds
_METRES = {"4/4": Metre(4, 4), "3/4": Metre(3, 4), "6/8": Metre(6, 8)}
_VOICE_LOWS = (48, 52, 57, 60)
_VOICE_SPAN = 16  # semitones: what an untrained singer has
_TUNES = ("lead", "vocals")


def compose(seed: int, style: str | None = None, seconds: float = 180.0) -> Song:
    """Write a song.

    Args:
        seed: the same one gives the same song in every process.
        style: a key of `STYLES`; drawn by the seed when None.
        seconds: its length, 15 to 3600; kept by adjusting the tempo by a few percent.

    Returns:
        The song, with four to eight parts.

    Raises:
        SoliError: for an unknown style or a length out of range.
    """
    if style is not None and style not in STYLES:
        raise SoliError(f"style {style!r} is not one of {', '.join(STYLES)}")
    if not SHORTEST <= seconds <= LONGEST:
        raise SoliError(f"seconds={seconds} is not between {SHORTEST:g} and {LONGEST:g}")
    rng = stream(seed, "song")
    name = style or rng.choice(list(STYLES))
    chosen = STYLES[name]
    metre = _METRES[draw(rng, chosen.metres)]
    key = Key(rng.randrange(12), draw(rng, chosen.modes))
    swing = round(rng.uniform(*chosen.swing), 3)
    bpm = rng.uniform(*chosen.tempo)
    sections = draw_sections(seed, chosen, key=key, metre=metre, n_bars=_whole_bars(seconds, bpm, metre, chosen))
    tempos = _tempo_map(rng, chosen, sections, seconds)
    band = draw_band(seed, chosen, metre)
    activity = draw_activity(seed, band, sections)
    parts = []
    for player in band:
        grid = _grid_notes(seed, chosen, player, sections, activity[player.name])
        feel = _feel(stream(seed, "feel", player.name), chosen, player, swing, tempos[0].bpm)
        fitted = humanise(
            stream(seed, "hands", player.name),
            grid,
            feel,
            end_beats=sections[-1].end_beats,
            monophonic=player.role in _TUNES,
        )
        parts.append(Part(player.name, player.instrument, player.program, player.instrument == DRUMS, fitted))
    return Song(seed, name, key, metre, swing, tempos, sections, tuple(part for part in parts if part.notes))


def _whole_bars(seconds: float, bpm: float, metre: Metre, style: Style) -> int:
    """The bars nearest to a length, one of them the ending, the rest whole phrases."""
    bars = seconds * bpm / 60 / metre.bar_beats
    phrase = style.section_bars if bars > 6 * style.section_bars else 4 if bars > 24 else 2
    return 1 + max(4, phrase * round((bars - 1) / phrase))


def _tempo_map(rng: random.Random, style: Style, sections: tuple[Section, ...], seconds: float) -> tuple[Tempo, ...]:
    """Choruses push a little, the end may slow down; then all of it is scaled to the length asked for."""
    push = rng.uniform(1.0, 1.02) if style.looseness > 0.5 else 1.0
    relative = [Tempo(s.start_beats, push if s.name == "chorus" else 1.0) for s in sections[:-1]]
    end = sections[-1]
    if rng.random() < style.ritardando:
        relative += [Tempo(end.start_beats - end.metre.bar_beats, 0.92), Tempo(end.start_beats, 0.8)]
    scale = seconds_at(end.end_beats, tuple(relative)) / seconds
    tempos: list[Tempo] = []
    for tempo in relative:
        bpm = 60e6 / round(60e6 / (tempo.bpm * scale))  # MIDI counts whole microseconds per beat
        if tempos and tempos[-1].start_beats == tempo.start_beats:
            tempos.pop()
        if not tempos or tempos[-1].bpm != bpm:
            tempos.append(Tempo(tempo.start_beats, bpm))
    return tuple(tempos)


def _feel(rng: random.Random, style: Style, player: Player, swing: float, bpm: float) -> Feel:
    beats_per_ms = bpm / 60000
    tight = player.role in ("drums", "bass")
    return Feel(
        swing=swing,
        swing_unit=style.swing_unit,
        lag_beats=rng.gauss(0.0, 4.0) * beats_per_ms * style.looseness,
        spread_beats=(4.0 if tight else 7.0) * beats_per_ms * style.looseness,
        velocity_spread=6.0,
    )


def _grid_notes(
    seed: int, style: Style, player: Player, sections: tuple[Section, ...], activity: tuple[str, ...]
) -> list[Note]:
    """All sections of one part, louder where the energy is."""
    notes: list[Note] = []
    for section, state in zip(sections, activity, strict=True):
        if state != "rests":
            gain = 0.78 + 0.24 * section.energy
            for note in _play(seed, style, player, section, answers_only=state == "answers"):
                notes.append(Note(note.start_beats, note.length_beats, note.pitch, round(note.velocity * gain)))
    return notes


def _play(seed: int, style: Style, player: Player, section: Section, *, answers_only: bool) -> list[Note]:
    """One section of one part; what sections of one name share is drawn from a stream that they share."""
    shared = stream(seed, player.name, section.name)
    own = stream(seed, player.name, section.name, section.occurrence)
    pattern = player.pattern(section)
    if player.role == "drums":
        ride = section.energy > 0.8 and shared.random() < 0.6
        return drum_pattern(own, section, pattern, ghosts=style.ghosts, ride=ride)
    if player.role == "bass":
        return bass_line(own, section, pattern)
    if player.role in _TUNES:
        compass = _compass(stream(seed, player.name), player)
        theme = draw_theme(stream(seed, player.role, section.name), pattern, section.metre)
        return melody(section, theme, compass, answers_only=answers_only)
    return comp(own, section, player.instrument, pattern, n_voices=3 if player.instrument == "brass" else 4)


def _compass(rng: random.Random, player: Player) -> Compass:
    if player.role == "vocals":
        low = rng.choice(_VOICE_LOWS)
        return Compass(low, low + _VOICE_SPAN, 7)
    instrument = INSTRUMENTS[player.instrument]
    return Compass(instrument.tune_low, instrument.tune_high, 12)
