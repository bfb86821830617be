"""A drum part to one stem for each piece of the kit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from soli.data.render.kits import Kit
from soli.data.render.notes import TimedNote
from soli.data.render.pieces import PIECES, piece_of
from soli.data.render.soundfonts import DRUM_BANK, SoundFont
from soli.data.render.synthesis import synthesise


@dataclass(frozen=True)
class DrumPreset:
    """A drum kit of a SoundFont: a program of its bank 128."""

    font: SoundFont
    program: int


def render_drums(
    notes: Sequence[TimedNote],
    source: DrumPreset | Kit,
    *,
    sample_rate: int,
    n_samples: int,
    play: Callable[..., np.ndarray] = synthesise,
) -> dict[str, np.ndarray]:
    """Play a drum part, each piece of the kit by itself.

    The pieces sum to the kit's stem: of a sampled kit exactly, as that is how the stem is made; of a SoundFont to
    rounding errors, unless one of its exclusive classes (notes that end each other) reaches from one piece into
    another, which then ring on. Hi-hats end each other within their piece.

    Args:
        notes: with General MIDI percussion keys, in any order.
        source: the kit.
        sample_rate: in Hz.
        n_samples: length of the result.
        play: plays presets, with the arguments of `synthesise`.

    Returns:
        Piece -> float32 `[2, n_samples]` in the order of `PIECES`, for pieces with notes. A sampled kit may lack some,
        and plays a second crash on its first (`Kit.play`); a piece that a SoundFont lacks is silent.

    Raises:
        SoliError: for a key that MIDI does not have, and a source that lacks the preset or cannot be read.
    """
    if isinstance(source, Kit):
        return source.play(notes, sample_rate=sample_rate, n_samples=n_samples)
    parts: dict[str, list[TimedNote]] = {}
    for note in notes:
        parts.setdefault(piece_of(note.pitch), []).append(note)
    return {
        piece: play(
            parts[piece],
            source.font,
            bank=DRUM_BANK,
            program=source.program,
            sample_rate=sample_rate,
            n_samples=n_samples,
        )
        for piece in PIECES
        if piece in parts
    }
