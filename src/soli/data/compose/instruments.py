"""Instrument classes: their General MIDI programs (from 0) and the pitches they may play."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """Programs, lowest and highest pitch, where its tunes lie best, and the programs that play tunes alone."""

    programs: tuple[int, ...]
    low: int
    high: int
    tune_low: int = 60
    tune_high: int = 79
    solo: tuple[int, ...] = ()


DRUMS = "drums"
VOICE = "voice"

INSTRUMENTS: dict[str, Instrument] = {
    DRUMS: Instrument((0, 8, 16, 24, 25, 32, 40), 35, 81),
    "bass": Instrument((32, 33, 34, 35, 36, 37, 38, 39), 28, 60),
    "piano": Instrument((0, 1, 2, 3, 4, 5, 6, 7), 28, 96),
    "chromatic_percussion": Instrument((8, 9, 11, 12, 13), 60, 91, 65, 86),
    "organ": Instrument((16, 17, 18, 19, 21), 36, 96),
    "acoustic_guitar": Instrument((24, 25), 40, 83, 57, 76),
    "electric_guitar": Instrument((26, 27, 28, 29, 30), 40, 86, 57, 79),
    "strings": Instrument((40, 44, 48, 49, 50, 51), 48, 93, 62, 84, solo=(40,)),
    VOICE: Instrument((52, 53, 54), 48, 81, 57, 76),
    "brass": Instrument((56, 57, 60, 61, 62, 63), 50, 79, 55, 74, solo=(56, 57, 60)),
    "reed": Instrument((64, 65, 66, 71), 55, 77, 57, 76),
    "pipe": Instrument((72, 73, 74, 75), 62, 91, 65, 84),
    "synth_lead": Instrument((80, 81, 82, 84, 87), 48, 96, 60, 84),
    "synth_pad": Instrument((88, 89, 90, 91, 94, 95), 40, 91),
}


def instrument_of(program: int, *, is_drum: bool) -> str | None:
    """The class a part of any MIDI file belongs to.

    Args:
        program: General MIDI program, 0 to 127.
        is_drum: whether the part is on the percussion channel.

    Returns:
        A key of `INSTRUMENTS`, or None for a program of no class here.
    """
    if is_drum:
        return DRUMS
    found = (name for name, instrument in INSTRUMENTS.items() if name != DRUMS and program in instrument.programs)
    return next(found, None)
