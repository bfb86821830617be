"""Mixtures by their index: drawn, then made."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from soli.data import augment
from soli.data.cache import Cache
from soli.data.mixing.config import MixingConfig
from soli.data.mixing.draw import draw_mixture
from soli.data.mixing.library import Library
from soli.data.mixing.recipe import MixRecipe, StemRecipe
from soli.errors import SoliError


class Mixer:
    """Draws mixtures from caches.

    Args:
        caches: where the stems lie.
        config: how to mix.
        seed: of every draw.
        split: `"train"` or `"validation"`.

    Raises:
        SoliError: when a class has no stem, or a weight names an unknown collection.
    """

    def __init__(self, caches: list[Cache], config: MixingConfig, *, seed: int = 0, split: str = "train") -> None:
        self.config, self.seed = config, seed
        self.library = Library(caches, config.sources, config.weights, split)

    def mixture(self, index: int) -> np.ndarray:
        """The stems of one mixture; their sum over S is the mixture.

        Args:
            index: any non-negative integer; the same index gives the same mixture.

        Returns:
            float32 `[S C T]`.
        """
        return self.apply(self.draw(index))

    def draw(self, index: int) -> MixRecipe:
        """Decide all about one mixture.

        Args:
            index: any non-negative integer.

        Returns:
            Its recipe.
        """
        index = index % self.config.n_mixtures if self.config.n_mixtures else index
        return draw_mixture(self.library, self.config, np.random.default_rng((self.seed, index)), index)

    def apply(self, recipe: MixRecipe) -> np.ndarray:
        """Make one mixture.

        Args:
            recipe: of `draw`, from these caches.

        Returns:
            float32 `[S C T]`, the same to the last bit in every process and for any number of threads.

        Raises:
            SoliError: for a recording that is not in the caches, and for another sample rate.
        """
        n_channels, rate = self.library.n_channels, self.library.sample_rate
        if recipe.sample_rate != rate:
            raise SoliError(f"a mixture of {recipe.sample_rate} Hz cannot be made from recordings of {rate} Hz")
        with augment.one_thread(), torch.no_grad():
            stems = torch.zeros(len(recipe.stems), n_channels, recipe.n_samples)
            for position, stem in enumerate(recipe.stems):
                self._play(stem, stems[position])
            stems = _filtered(torch.bmm(_channels(recipe, n_channels), stems), recipe)
            gains = 10 ** (torch.tensor([stem.gain_db for stem in recipe.stems]) / 20)
            if recipe.loudness != "off":
                gains *= augment.level_gains(stems, recipe.loudness, rate)
            return (stems * gains[:, None, None]).numpy()

    def _play(self, stem: StemRecipe, out: Tensor) -> None:
        """Add the excerpts of a stem to `out`, `[C T]`."""
        for excerpt in stem.excerpts:
            n_samples = out.shape[-1]
            audio = torch.from_numpy(self.library.read(excerpt, n_samples))
            out.add_(augment.replay(audio, n_samples, excerpt.pitch, self.library.sample_rate), alpha=excerpt.gain)


def _channels(recipe: MixRecipe, n_channels: int) -> Tensor:
    return augment.channel_matrix(
        inverted=[stem.inverted for stem in recipe.stems],
        width=[stem.width for stem in recipe.stems],
        balance_db=[stem.balance_db for stem in recipe.stems],
        swapped=recipe.swapped,
        mono=recipe.mono,
        n_channels=n_channels,
    )


def _filtered(stems: Tensor, recipe: MixRecipe) -> Tensor:
    """Colour, rooms and bandwidth; a mixture without any of them is left as it is."""
    rate, rooms = recipe.sample_rate, [stem.room for stem in recipe.stems]
    tail = max((room.delay + room.seconds for room in rooms if room), default=0.0)
    size = augment.filter_size(recipe.n_samples, tail, rate)
    responses = []
    if any(stem.equaliser_db or stem.tilt_db for stem in recipe.stems):
        equalisers, tilts = [stem.equaliser_db for stem in recipe.stems], [stem.tilt_db for stem in recipe.stems]
        responses.append(augment.colour(equalisers, tilts, size, rate))
    if any(rooms):
        responses.append(augment.rooms(rooms, stems.shape[1], size, rate))
    if not responses and recipe.bandwidth >= rate / 2:
        return stems
    return augment.filter_stems(stems, responses, size=size, bandwidth=recipe.bandwidth, sample_rate=rate)
