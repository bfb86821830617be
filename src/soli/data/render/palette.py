"""The sounds that may be used, and the draw of one for each part."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from soli.data.compose.instruments import DRUMS, INSTRUMENTS, VOICE
from soli.data.compose.score import Part
from soli.data.render.hydrogen import read_kit
from soli.data.render.kits import Kit
from soli.data.render.soundfonts import DRUM_BANK, SoundFont, embedded, open_soundfont
from soli.data.render.voices import VoiceBank
from soli.errors import SoliError

_FAMILY = 8  # programs


@dataclass(frozen=True)
class Patch:
    """A preset of a SoundFont."""

    font: SoundFont
    bank: int
    program: int

    @property
    def name(self) -> str:
        """What the font calls it."""
        return self.font.presets[self.bank, self.program]


@dataclass(frozen=True)
class Palette:
    """Where the sounds come from; checked when made, loaded when first used.

    Attributes:
        soundfonts: SF2 or SF3 files; the embedded one when empty.
        kits: folders of Hydrogen drum kits; drum parts are drawn from these and the kits of the SoundFonts alike.
        voices: folders of solo voices, which then sing every vocal part.

    Raises:
        SoliError: when one of them is missing or not what it should be.
    """

    soundfonts: tuple[Path, ...] = ()
    kits: tuple[Path, ...] = ()
    voices: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        self.fonts()
        for kit in self.kits:
            kit_at(kit)
        for folder in self.voices:
            voices_at(folder)

    def fonts(self) -> tuple[SoundFont, ...]:
        """The SoundFonts, open."""
        return tuple(map(open_soundfont, self.soundfonts)) or (embedded(),)


@lru_cache(maxsize=64)
def kit_at(folder: Path) -> Kit:
    """The Hydrogen kit in a folder; the last ones stay in memory.

    Args:
        folder: of the kit.

    Returns:
        The kit.

    Raises:
        SoliError: when there is none.
    """
    return read_kit(folder)


@lru_cache(maxsize=8)
def voices_at(folder: Path) -> VoiceBank:
    """The solo voices in a folder; the last ones stay in memory.

    Args:
        folder: of audio files.

    Returns:
        The voices.

    Raises:
        SoliError: when there are none.
    """
    return VoiceBank(folder)


def draw_sound(rng: random.Random, palette: Palette, part: Part, *, keep_program: float) -> Patch | Kit | VoiceBank:
    """Draw what plays a part.

    Args:
        rng: decides.
        palette: what there is.
        part: whose class and program count.
        keep_program: how likely the program of the part itself is, where the SoundFont has it; else one of its class
            is drawn from those the SoundFont has.

    Returns:
        A preset; for drums also a kit, for voices a bank of voices.

    Raises:
        SoliError: when no SoundFont has a preset for the part.
    """
    if part.instrument == VOICE and palette.voices:
        return voices_at(rng.choice(palette.voices))
    choices = [(font, found) for font in palette.fonts() if (found := _programs(font, part))]
    sources: list[SoundFont | Path] = [font for font, _ in choices]
    sources += palette.kits if part.instrument == DRUMS else ()
    if not sources:
        raise SoliError(f"no SoundFont has a preset for {part.instrument} (program {part.program})")
    index = rng.randrange(len(sources))
    if index >= len(choices):
        return kit_at(palette.kits[index - len(choices)])
    font, programs = choices[index]
    kept = rng.random() < keep_program
    program = rng.choice(programs)
    return Patch(font, _bank(part), part.program if kept and part.program in programs else program)


def _programs(font: SoundFont, part: Part) -> tuple[int, ...]:
    """The programs of the part's class that a font has; where it has none, those of the family, then any."""
    there = sorted(program for bank, program in font.presets if bank == _bank(part))
    known = INSTRUMENTS[part.instrument].programs if part.instrument in INSTRUMENTS else (part.program,)
    family = part.program // _FAMILY
    return (
        tuple(program for program in there if program in known)
        or tuple(program for program in there if program // _FAMILY == family and not part.is_drum)
        or tuple(there)
    )


def _bank(part: Part) -> int:
    return DRUM_BANK if part.is_drum else 0
