"""Styles: what a song may be made of. Tables only; every name is a key of another table of this package."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slot:
    """A seat in the band beside drums and bass.

    `role` is `"comp"` (plays all the time), `"colour"` (comes in as the energy rises), `"lead"` or `"vocals"`.
    `patterns` are names of `comping_patterns`, or rhythm families of `melody_patterns` for the last two roles;
    `programs` narrows the instrument's own.
    """

    role: str
    instruments: tuple[str, ...]
    patterns: tuple[str, ...]
    chance: float = 1.0
    programs: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Style:
    """Ranges and weights (name -> weight) to draw one song from.

    `tempo` is in beats per minute; `swing` is where the off-beat falls in its pair (0.5 = straight) and
    `swing_unit` half that pair in beats; `looseness` scales how far players stray from the grid. The rest
    are chances from 0 to 1.
    """

    tempo: tuple[int, int]
    grooves: dict[str, dict[str, float]]
    """Metre -> groove names of `drum_patterns`."""
    metres: dict[str, float] = field(default_factory=lambda: {"4/4": 1.0})
    modes: dict[str, float]
    forms: dict[str, float]
    section_bars: int = 8
    swing: tuple[float, float] = (0.5, 0.5)
    swing_unit: float = 0.5
    progressions: str
    grammar: float = 0.35
    slow_harmony: float = 0.0
    turnarounds: float = 0.3
    sevenths: float = 0.0
    ninths: float = 0.0
    key_lift: float = 0.0
    ritardando: float = 0.0
    looseness: float = 1.0
    kits: tuple[int, ...] = (0, 8)
    ghosts: float = 0.0
    bass: dict[str, float]
    bass_programs: tuple[int, ...] = (33, 34)
    slots: tuple[Slot, ...]


_SONG_FORMS = {
    "intro verse chorus verse chorus bridge chorus outro": 4.0,
    "intro verse prechorus chorus verse prechorus chorus bridge chorus outro": 3.0,
    "intro verse verse chorus verse chorus solo chorus outro": 2.0,
    "chorus verse chorus verse chorus bridge chorus": 1.0,
}
_LOOSE_FORMS = {
    "intro verse chorus verse chorus solo verse chorus outro": 2.0,
    "intro verse bridge verse solo verse bridge chorus outro": 1.0,
}
_AABA_FORMS = {
    "intro verse verse bridge verse solo solo bridge verse outro": 2.0,
    "verse verse bridge verse solo solo verse chorus": 1.0,
}

STYLES: dict[str, Style] = {
    "pop": Style(
        tempo=(88, 128),
        grooves={"4/4": {"pop": 3, "pop_sync": 2, "backbeat": 1, "four_floor": 1}},
        modes={"major": 3, "minor": 2},
        forms=_SONG_FORMS,
        progressions="pop",
        sevenths=0.15,
        ninths=0.2,
        key_lift=0.25,
        ghosts=0.15,
        bass={"eighths": 2, "roots": 1, "syncopated": 2, "octaves": 1},
        slots=(
            Slot("vocals", ("voice",), ("song", "syncopated"), 0.85),
            Slot("comp", ("piano", "electric_guitar"), ("pop_push", "quarters", "push"), 1.0, (0, 1, 2, 4, 5, 27, 28)),
            Slot("comp", ("acoustic_guitar",), ("pop_strum", "sixteen_strum", "picking"), 0.7),
            Slot("colour", ("synth_pad", "strings", "organ"), ("pad",), 0.7),
            Slot("lead", ("synth_lead", "electric_guitar", "pipe"), ("song", "syncopated"), 0.6),
            Slot("colour", ("chromatic_percussion", "strings"), ("up", "guide"), 0.4),
            Slot("colour", ("brass",), ("stabs",), 0.15),
        ),
    ),
    "rock": Style(
        tempo=(100, 152),
        grooves={"4/4": {"rock": 3, "backbeat": 2, "driving": 2, "half_time": 1}, "6/8": {"slow_six": 1}},
        metres={"4/4": 9, "6/8": 1},
        modes={"major": 2, "minor": 2, "mixolydian": 2},
        forms=_SONG_FORMS | _LOOSE_FORMS,
        progressions="rock",
        grammar=0.25,
        kits=(0, 8, 16),
        ghosts=0.25,
        bass={"eighths": 3, "roots": 1, "syncopated": 1, "pedal": 0.5},
        bass_programs=(33, 34, 34),
        slots=(
            Slot("comp", ("electric_guitar",), ("power_eighths", "power_push", "power_whole"), 1.0, (29, 30)),
            Slot("vocals", ("voice",), ("song", "syncopated"), 0.8),
            Slot("lead", ("electric_guitar",), ("song", "busy"), 0.8, (27, 29, 30)),
            Slot("colour", ("electric_guitar",), ("riff_rock", "broken"), 0.5, (27, 28, 29)),
            Slot("comp", ("acoustic_guitar", "piano"), ("pop_strum", "quarters"), 0.5),
            Slot("colour", ("organ",), ("pad", "push"), 0.5, (16, 18)),
            Slot("colour", ("strings",), ("pad", "guide"), 0.15),
        ),
    ),
    "metal": Style(
        tempo=(120, 188),
        grooves={"4/4": {"metal": 2, "double_kick": 2, "driving": 1, "half_time": 1, "thrash": 1}},
        modes={"minor": 4, "dorian": 1},
        forms=_SONG_FORMS | _LOOSE_FORMS,
        progressions="metal",
        grammar=0.15,
        kits=(16, 8),
        looseness=0.6,
        bass={"gallop": 2, "eighths": 3, "pedal": 1},
        bass_programs=(34,),
        slots=(
            Slot("comp", ("electric_guitar",), ("gallop", "chugs", "power_eighths"), 1.0, (30,)),
            Slot("comp", ("electric_guitar",), ("power_whole", "power_push", "riff_metal"), 0.8, (29, 30)),
            Slot("lead", ("electric_guitar",), ("busy", "song"), 1.0, (30, 29)),
            Slot("vocals", ("voice",), ("song",), 0.5),
            Slot("colour", ("strings", "synth_pad", "organ"), ("pad", "ostinato"), 0.4),
            Slot("colour", ("piano", "electric_guitar"), ("broken", "up"), 0.25, (0, 1, 27, 28)),
        ),
    ),
    "funk": Style(
        tempo=(92, 118),
        grooves={"4/4": {"funk": 3, "funk_linear": 2, "pop_sync": 1}},
        modes={"dorian": 3, "mixolydian": 2, "minor": 1},
        forms=_SONG_FORMS | _LOOSE_FORMS,
        swing=(0.5, 0.57),
        swing_unit=0.25,
        progressions="funk",
        grammar=0.1,
        sevenths=1.0,
        ninths=0.6,
        ghosts=0.6,
        bass={"funk": 3, "slap": 2, "syncopated": 1},
        bass_programs=(33, 36, 37),
        slots=(
            Slot("comp", ("electric_guitar",), ("scratch", "funk_stabs"), 1.0, (27, 28)),
            Slot("comp", ("organ", "piano"), ("funk_stabs", "clav"), 0.9, (4, 5, 7, 16, 17, 18)),
            Slot("colour", ("brass",), ("stabs", "hits"), 0.8, (61, 62, 56)),
            Slot("lead", ("reed", "brass", "synth_lead"), ("busy", "syncopated"), 0.7),
            Slot("vocals", ("voice",), ("syncopated",), 0.6),
            Slot("colour", ("synth_pad", "strings"), ("pad", "guide"), 0.3),
        ),
    ),
    "jazz": Style(
        tempo=(104, 208),
        grooves={"4/4": {"swing": 4, "swing_brushes": 1}, "3/4": {"jazz_waltz": 1}},
        metres={"4/4": 5, "3/4": 1},
        modes={"major": 4, "minor": 3, "dorian": 1},
        forms=_AABA_FORMS,
        swing=(0.6, 0.67),
        progressions="jazz",
        grammar=0.15,
        sevenths=1.0,
        ninths=0.5,
        ritardando=0.5,
        kits=(32, 40),
        ghosts=0.5,
        bass={"walking": 5, "two_feel": 1},
        bass_programs=(32,),
        slots=(
            Slot("comp", ("piano", "electric_guitar"), ("charleston", "jazz_comp"), 1.0, (0, 1, 26)),
            Slot("lead", ("reed", "brass", "chromatic_percussion", "pipe"), ("bop", "song"), 1.0),
            Slot("comp", ("electric_guitar",), ("quarters", "charleston"), 0.4, (26,)),
            Slot("colour", ("brass", "reed"), ("hits", "guide"), 0.4),
            Slot("colour", ("organ", "chromatic_percussion"), ("jazz_comp",), 0.25),
            Slot("vocals", ("voice",), ("song",), 0.25),
        ),
    ),
    "bossa": Style(
        tempo=(116, 150),
        grooves={"4/4": {"bossa": 3, "samba": 1}},
        modes={"major": 3, "minor": 2},
        forms=_AABA_FORMS,
        progressions="jazz",
        grammar=0.2,
        sevenths=1.0,
        ninths=0.7,
        ritardando=0.3,
        kits=(0, 32, 40),
        bass={"bossa": 4, "two_feel": 1},
        bass_programs=(32, 35),
        slots=(
            Slot("comp", ("acoustic_guitar",), ("bossa",), 1.0, (24,)),
            Slot("lead", ("pipe", "reed", "brass"), ("song", "syncopated"), 0.9),
            Slot("comp", ("piano", "chromatic_percussion"), ("charleston", "jazz_comp"), 0.6, (0, 4, 11)),
            Slot("vocals", ("voice",), ("syncopated", "sparse"), 0.5, (53, 52)),
            Slot("colour", ("strings", "synth_pad"), ("pad", "guide"), 0.6),
        ),
    ),
    "electronic": Style(
        tempo=(110, 140),
        grooves={"4/4": {"house": 3, "four_floor": 2, "electro": 2, "breaks": 1}},
        modes={"minor": 4, "dorian": 2, "mixolydian": 1, "major": 1},
        forms={
            "intro verse prechorus chorus bridge verse prechorus chorus outro": 2.0,
            "intro verse chorus verse chorus bridge chorus outro": 2.0,
        },
        swing=(0.5, 0.54),
        swing_unit=0.25,
        progressions="modal",
        slow_harmony=0.4,
        sevenths=0.3,
        ninths=0.4,
        turnarounds=0.1,
        kits=(24, 25),
        looseness=0.15,
        bass={"offbeat": 2, "octaves": 2, "sixteenths": 1, "roots": 1},
        bass_programs=(38, 39),
        slots=(
            Slot("comp", ("synth_pad",), ("pad",)),
            Slot("comp", ("synth_lead", "chromatic_percussion"), ("sixteenths", "up", "broken"), 0.9),
            Slot("comp", ("piano", "organ", "synth_pad"), ("offbeats", "push", "house_piano"), 0.7),
            Slot("lead", ("synth_lead",), ("syncopated", "sparse"), 0.8),
            Slot("vocals", ("voice",), ("sparse", "syncopated"), 0.5),
            Slot("colour", ("strings",), ("pad", "ostinato"), 0.4),
        ),
    ),
    "ballad": Style(
        tempo=(60, 84),
        grooves={"4/4": {"ballad": 3, "half_time": 1}, "6/8": {"slow_six": 1}, "3/4": {"waltz": 1}},
        metres={"4/4": 5, "6/8": 2, "3/4": 1},
        modes={"major": 3, "minor": 2},
        forms=_SONG_FORMS,
        progressions="pop",
        grammar=0.5,
        sevenths=0.4,
        ninths=0.5,
        key_lift=0.3,
        ritardando=0.8,
        bass={"roots": 3, "root_fifth": 2, "pedal": 0.5},
        bass_programs=(32, 33, 35),
        slots=(
            Slot("comp", ("piano", "acoustic_guitar"), ("broken", "up", "picking"), 1.0, (0, 1, 2, 4)),
            Slot("vocals", ("voice",), ("song", "sparse"), 0.85),
            Slot("colour", ("strings",), ("pad", "guide"), 0.9),
            Slot("lead", ("reed", "pipe", "electric_guitar", "strings"), ("sparse", "song"), 0.7, (26, 27, 29)),
            Slot("comp", ("electric_guitar", "piano"), ("whole", "halves"), 0.4, (0, 2, 4, 5, 27)),
            Slot("colour", ("synth_pad", "organ"), ("pad",), 0.4),
            Slot("colour", ("chromatic_percussion",), ("up",), 0.2),
        ),
    ),
    "reggae": Style(
        tempo=(68, 92),
        grooves={"4/4": {"one_drop": 3, "steppers": 1, "rockers": 2}},
        modes={"major": 2, "minor": 3, "dorian": 1},
        forms=_SONG_FORMS,
        swing=(0.5, 0.6),
        swing_unit=0.25,
        progressions="modal",
        grammar=0.2,
        sevenths=0.2,
        bass={"dub": 3, "one_drop": 2},
        bass_programs=(33, 35),
        slots=(
            Slot("comp", ("electric_guitar",), ("skank",), 1.0, (27, 28)),
            Slot("comp", ("organ",), ("bubble",), 0.9, (16, 17, 18)),
            Slot("vocals", ("voice",), ("song", "syncopated"), 0.8),
            Slot("comp", ("piano",), ("skank",), 0.5),
            Slot("colour", ("brass",), ("stabs", "hits"), 0.5),
            Slot("lead", ("reed", "brass", "chromatic_percussion"), ("sparse", "song"), 0.5),
        ),
    ),
    "blues": Style(
        tempo=(72, 132),
        grooves={"4/4": {"shuffle": 4, "backbeat": 1}},
        modes={"major": 3, "mixolydian": 2, "minor": 1},
        forms={"verse verse solo verse solo chorus": 1.0, "verse verse solo solo verse chorus": 1.0},
        section_bars=12,
        swing=(0.6, 0.67),
        progressions="blues",
        grammar=0.0,
        turnarounds=0.6,
        ritardando=0.6,
        ghosts=0.3,
        bass={"boogie": 3, "walking": 2},
        bass_programs=(32, 33),
        slots=(
            Slot("comp", ("electric_guitar",), ("boogie", "quarters", "charleston"), 1.0, (27, 29)),
            Slot("comp", ("piano", "organ"), ("charleston", "quarters"), 0.8, (0, 1, 3, 16, 17, 18)),
            Slot("vocals", ("voice",), ("song",), 0.7),
            Slot("lead", ("electric_guitar", "reed", "organ"), ("busy", "bop", "song"), 1.0, (26, 27, 29, 22)),
            Slot("colour", ("brass",), ("hits", "pad"), 0.4),
        ),
    ),
}
