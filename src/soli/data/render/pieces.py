"""The pieces of a drum kit: their General MIDI keys, the names kits know them by, and what overheads hear of them.

Every key belongs to one piece, so **the stems of the pieces sum to the stem of the kit**. `overheads` is a second view
of the same drums, as from two microphones above them: it is no part of that sum, and whoever puts it among the stems
of a mixture adds it to the mixture.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np

from soli.errors import SoliError

PERCUSSION = "percussion"
"""Every key that is none of a kit's: claps, cowbells, hand drums, shakers, and all outside General MIDI's 35 to 81."""

KEYS = {
    "kick": (36, 35),
    "snare": (38, 40, 37),
    "toms": (41, 43, 45, 47, 48, 50),
    "hi_hat": (42, 44, 46),
    "ride": (51, 59, 53),
    "crash_1": (49, 55),
    "crash_2": (57, 52),
}
"""Piece -> its keys, the one that stands in for the others first; splash goes with crash 1, china with crash 2."""

PIECES = (*KEYS, PERCUSSION)

_PIECE_OF = {key: piece for piece, keys in KEYS.items() for key in keys}
_INSTEAD = {"crash_1": "crash_2", "crash_2": "crash_1"}  # a kit with one crash plays both on it

# What a name must have, one word of every group (words parted by |), and the keys it gets: the first that no instrument
# before it took. The first line that fits wins; lines without keys are sounds that no key means.
_NAMES: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("roll|choke|choked|swish|semi|semiopen|half|flam|reverse|reversed",), ()),
    (("crash", "ride"), ()),
    (("hat|hh|hihat|hats", "closed|close|cl"), (42,)),
    (("hat|hh|hihat|hats", "open|opened|op"), (46,)),
    (("hat|hh|hihat|hats", "pedal|pd|foot"), (44,)),
    (("kick|bassdrum|bd",), (36, 35)),
    (("bass", "drum"), (36, 35)),
    (("sidestick|crossstick",), (37,)),
    (("side|cross|rim", "stick|click"), (37,)),
    (("snare",), (38, 40)),
    (("stick",), (37,)),
    (("tom|toms|floortom", "floor|floortom"), (43, 41)),
    (("tom|tomlow|tomlo", "low|lo|tomlow|tomlo"), (45,)),
    (("tom|tommid", "mid|middle|medium|tommid"), (47,)),
    (("tom|tomhi|tomhigh", "hi|high|tomhi|tomhigh"), (50,)),
    (("tom", "1"), (50,)),
    (("tom", "2"), (47,)),
    (("tom", "3"), (45,)),
    (("tom", "4"), (43,)),
    (("tom",), (47,)),
    (("ride", "bell|cup"), (53,)),
    (("ride",), (51, 59)),
    (("crash",), (49, 57)),
    (("china",), (52,)),
    (("splash",), (55,)),
    (("clap|claps|handclap",), (39,)),
    (("tambourine",), (54,)),
    (("cowbell",), (56,)),
    (("bongo", "hi|high"), (60,)),
    (("bongo", "lo|low"), (61,)),
    (("conga",), (63, 64)),
    (("timbale", "hi|high"), (65,)),
    (("timbale", "lo|low"), (66,)),
    (("agogo", "hi|high"), (67,)),
    (("agogo", "lo|low"), (68,)),
    (("cabasa",), (69,)),
    (("maraca|maracas|shaker",), (70,)),
    (("whistle",), (72, 71)),
    (("clave|claves",), (75,)),
    (("woodblock", "hi|high"), (76,)),
    (("woodblock", "lo|low"), (77,)),
    (("triangle",), (81,)),
)

# Piece -> gain, and metres to the pair of microphones, which are 1 m above the cymbals and turned away from the floor.
_OVERHEADS = {
    "kick": (0.25, 1.7),
    "snare": (0.5, 1.2),
    "toms": (0.5, 1.1),
    "hi_hat": (1.0, 1.0),
    "ride": (1.0, 1.0),
    "crash_1": (1.0, 1.0),
    "crash_2": (1.0, 1.0),
    PERCUSSION: (0.5, 1.5),
}
_SPEED_OF_SOUND = 343.0  # metres per second
_SHELF_GAIN = 10 ** (3 / 20)  # small condensers rise by about this
_SHELF_HZ = 6000.0
_SHELF_REACH = 4096  # samples of silence that keep the end of the filter from the beginning; its kernel is far shorter


def piece_of(key: int) -> str:
    """The piece that a percussion key plays.

    Args:
        key: MIDI pitch, 0 to 127.

    Returns:
        One of `PIECES`.

    Raises:
        SoliError: for a key that MIDI does not have.
    """
    if not 0 <= key <= 127:
        raise SoliError(f"percussion key {key}; allowed: 0 to 127")
    return _PIECE_OF.get(key, PERCUSSION)


def stand_in(key: int, available: Collection[int]) -> int | None:
    """The key that plays another one on a kit that need not have it.

    Args:
        key: MIDI pitch, 0 to 127.
        available: the keys that the kit has.

    Returns:
        The key itself, else another of its piece: the nearest tom, the plain stroke of the others, the other crash
        cymbal; None where the kit has no such piece. Nothing stands in for percussion.

    Raises:
        SoliError: for a key that MIDI does not have.
    """
    piece = piece_of(key)
    others = KEYS.get(piece, ()) + KEYS.get(_INSTEAD.get(piece, ""), ())
    if piece == "toms":
        others = tuple(sorted(others, key=lambda other: abs(other - key)))
    return next((other for other in (key, *others) if other in available), None)


def keys_of(name: str) -> tuple[int, ...]:
    """The keys that an instrument of a kit may have by its name.

    Args:
        name: for example `"Hi-Hat Open (14 inch)"`; case and what parts its words do not matter.

    Returns:
        Keys, the most fitting first; none for a name that is not in the table.
    """
    words = set(re.findall(r"[a-z]+|\d+", name.lower()))
    fits = (keys for groups, keys in _NAMES if all(words & set(group.split("|")) for group in groups))
    return next(fits, ())


def overheads(pieces: Mapping[str, np.ndarray], sample_rate: int) -> np.ndarray:
    """What a pair of microphones above the kit hears: cymbals and hi-hat in full, the drums quieter and later.

    Each piece is delayed by its way to the microphones and weighted; the sum then rises by 3 dB above 6 kHz:
    `H(f) = 1 + (10^(3/20) - 1) f^2 / (f^2 + 6000^2)`, without phase. Nothing is drawn at random.

    Args:
        pieces: piece -> `[2 T]`, at least one.
        sample_rate: in Hz.

    Returns:
        float32 `[2 T]`.

    Raises:
        SoliError: for no piece or an unknown one.
    """
    if not pieces or not pieces.keys() <= _OVERHEADS.keys():
        raise SoliError(f"overheads of {', '.join(pieces) or 'no pieces'}; allowed: one or more of {', '.join(PIECES)}")
    heard = np.zeros_like(next(iter(pieces.values())), dtype=np.float32)
    n_samples = heard.shape[1]
    for piece, audio in pieces.items():
        gain, metres = _OVERHEADS[piece]
        delay = min(round(metres / _SPEED_OF_SOUND * sample_rate), n_samples)
        heard[:, delay:] += np.float32(gain) * audio[:, : n_samples - delay]
    return _shelf(heard, sample_rate)


def _shelf(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """By Fourier transform, padded to a length that has only small prime factors."""
    n_samples = audio.shape[1]
    n_fft = -(-(n_samples + _SHELF_REACH) // _SHELF_REACH) * _SHELF_REACH
    squares = np.square(np.fft.rfftfreq(n_fft, 1 / sample_rate))
    response = 1 + (_SHELF_GAIN - 1) * squares / (squares + _SHELF_HZ**2)
    channels = [np.fft.irfft(np.fft.rfft(channel, n_fft) * response, n_fft)[:n_samples] for channel in audio]
    return np.stack(channels).astype(np.float32)
