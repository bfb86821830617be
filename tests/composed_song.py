"""A composed song, played by a SoundFont that no bundled model has heard."""

from __future__ import annotations

import numpy as np

from soli.data.compose import compose
from soli.data.render.families import family
from soli.data.render.palette import Palette
from soli.data.render.song import RenderConfig, render_song


def families_of_song(seed: int, sample_rate: int, seconds: float) -> dict[str, np.ndarray]:
    """`[1 T]` of each family of instruments that sounds, from the twelfth second on."""
    score = compose(seed, seconds=40.0)
    config = RenderConfig(sample_rate=sample_rate, n_channels=1)
    song = render_song(score.parts, score.tempos, Palette(), config, seed=seed, start_seconds=12.0, seconds=seconds)
    found: dict[str, np.ndarray] = {}
    for stem in song.stems:
        name = family(stem.program, is_drum=stem.is_drum).lower()
        found[name] = found.get(name, np.zeros_like(stem.audio)) + stem.audio
    return found
