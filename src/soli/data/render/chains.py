"""Which effects a stem gets: drawn by its class, written down as plain values, applied in a fixed order."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from soli.data.compose.instruments import DRUMS
from soli.data.render import effects

Chain = dict[str, dict[str, float]]
"""Effect -> its parameters, in the order they are applied."""

_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "shelves": {"low_db": (-6.0, 4.0), "high_db": (-6.0, 6.0)},
    "drive": {"gain_db": (0.0, 16.0)},
    "compress": {"threshold_db": (-6.0, 6.0), "ratio": (1.5, 4.0)},
    "chorus": {"rate_hz": (0.2, 1.5), "depth_ms": (0.5, 3.0), "mix": (0.3, 0.8)},
    "echo": {"seconds": (0.12, 0.5), "feedback": (0.1, 0.5), "mix": (0.1, 0.35)},
    "reverb": {"rt60": (0.25, 1.6), "mix": (0.08, 0.4)},
}
_PARALLEL = {"shelves": 0.8, "drive": 0.0, "compress": 0.3, "chorus": 0.1, "echo": 0.1, "reverb": 0.6}
_OWN: dict[str, dict[str, float]] = {  # how likely; what is not named is as in _PARALLEL
    DRUMS: {"compress": 0.6, "chorus": 0.0, "echo": 0.0, "reverb": 0.5},
    "bass": {"drive": 0.3, "compress": 0.6, "chorus": 0.1, "echo": 0.0, "reverb": 0.1},
    "electric_guitar": {"drive": 0.4, "compress": 0.4, "chorus": 0.3, "echo": 0.25},
    "acoustic_guitar": {"compress": 0.4, "chorus": 0.15},
    "piano": {"chorus": 0.15, "compress": 0.3},
    "organ": {"drive": 0.3, "chorus": 0.4},
    "voice": {"compress": 0.7, "chorus": 0.1, "echo": 0.25, "reverb": 0.8},
    "strings": {"reverb": 0.8},
    "brass": {"reverb": 0.7},
    "synth_lead": {"drive": 0.2, "chorus": 0.3, "echo": 0.4},
    "synth_pad": {"chorus": 0.4, "reverb": 0.7},
}


def draw_chain(rng: random.Random, instrument: str, probability: float) -> Chain:
    """Draw the effects of a stem.

    Args:
        rng: decides.
        instrument: a class.
        probability: how likely each effect is, times what is usual for the class; 0 is none, 1 as usual.

    Returns:
        The chain. A kit of drums never gets `drive` nor `chorus`, so that its pieces keep summing to it.
    """
    likely = _PARALLEL | _OWN.get(instrument, {})
    chain: Chain = {}
    for name, ranges in _RANGES.items():
        drawn: dict[str, Any] = {key: round(rng.uniform(*limits), 4) for key, limits in ranges.items()}
        if name == "reverb":
            drawn["seed"] = rng.randrange(2**31)
        if rng.random() < likely[name] * probability:
            chain[name] = drawn
    return chain


def apply_chain(audio: np.ndarray, sample_rate: int, chain: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """Apply the effects of a stem.

    Args:
        audio: `[C T]`, or `[P C T]` for parts of one stem that are to sum to it.
        sample_rate: in Hz.
        chain: as drawn; with `drive`, parts do not sum any more.

    Returns:
        The same shape.
    """
    for name, values in chain.items():
        if name == "drive":
            audio = effects.drive(audio, **values)
        elif name == "compress":
            audio = effects.compress(audio, sample_rate, **values, key=audio.sum(axis=0) if audio.ndim == 3 else audio)
        else:
            audio = getattr(effects, name)(audio, sample_rate, **values)
    return audio
