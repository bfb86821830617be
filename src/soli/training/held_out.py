"""Mixtures that nothing was trained on, for what is measured once a training has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from soli.data.cache import Cache
from soli.data.mixing import Mixer, MixingConfig

_N_MIXTURES = 64
_SILENCE = 1e-4  # RMS


def held_out(caches: list[Cache], mixing: MixingConfig, seed: int, report: Callable[[str], None]) -> Iterator[Tensor]:
    """Mixtures of recordings held out for validation; each class is left out of about half of them.

    Args:
        caches: of a recipe; a class without recordings for validation is represented by those it was trained on.
        mixing: of the recipe.
        seed: of every draw.
        report: called with a line about each class that has none for validation.

    Yields:
        Stems `[1 S C T]`, never all silent.
    """
    config = replace(mixing, weights=(), drop=0.5, subsets="off", layer=0.0)
    mixer = Mixer(_validating(caches, mixing, report), config, seed=seed, split="validation")
    drawn = (torch.from_numpy(mixer.mixture(index))[None] for index in range(4 * _N_MIXTURES))
    sounding = (stems for stems in drawn if stems.sum(dim=1).square().mean().sqrt() > _SILENCE)
    yield from islice(sounding, _N_MIXTURES)


def _validating(caches: list[Cache], mixing: MixingConfig, report: Callable[[str], None]) -> list[Cache]:
    """The same caches, in which every class has recordings for validation; collections of no weight are left out."""
    unused = {name for name, weight in mixing.weights if not weight}
    copies = [Cache(cache.folder) for cache in caches]
    for cache in copies:
        cache.stems = [stem for stem in cache.stems if stem.collection not in unused]
    found = {stem.label for cache in copies for stem in cache.stems if stem.split == "validation"}
    for name in mixing.sources:
        if name not in found:
            report(f"no recording of {name} is held out; it is calibrated on those it was trained on")
    for cache in copies:
        cache.stems = [stem if stem.label in found else replace(stem, split="validation") for stem in cache.stems]
    return copies
