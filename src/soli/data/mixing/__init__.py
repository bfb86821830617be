"""Training mixtures without end, each one reproducible from its seed and index.

A mixture is coherent (the stems of one song, in time with each other) or incoherent (each class from a song of its
own, as in seed 004). First it is drawn, as a recipe of names and numbers; then the recipe is carried out.
"""

from soli.data.mixing.config import PAPER_MIXING, MixingConfig
from soli.data.mixing.loader import MixtureStream, batches
from soli.data.mixing.mixer import Mixer
from soli.data.mixing.multitracks import MultitrackConfig, MultitrackMixer
from soli.data.mixing.recipe import Excerpt, MixRecipe, StemRecipe

__all__ = [
    "PAPER_MIXING",
    "Excerpt",
    "MixRecipe",
    "Mixer",
    "MixingConfig",
    "MixtureStream",
    "MultitrackConfig",
    "MultitrackMixer",
    "StemRecipe",
    "batches",
]
