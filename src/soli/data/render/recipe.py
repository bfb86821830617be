"""What a rendered dataset is: its splits, where their songs come from, and the sounds that play them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from soli.config import from_dict, load_toml
from soli.data.compose import STYLES
from soli.data.compose.song import LONGEST, SHORTEST
from soli.errors import SoliError

EMBEDDED = "TimGM6mb.sf2"
"""The SoundFont that comes with the Python package pretty_midi; other ones of this name are never taken for it."""

_SPLIT = re.compile(r"(train|validation|test)([-_].+)?")


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split; either `hours` or `songs` says how large it is.

    Attributes:
        hours: of songs, reached with the last one.
        songs: how many.
        midi: share of the songs that comes from the user's MIDI files, 0 to 1; what they do not suffice for, and all
            where there are none, is composed.
        styles: of composed songs, keys of `STYLES`; all when empty.
        seconds: shortest and longest composed song. Of longer MIDI files a part of such a length is taken.
        full_band: whether only songs with bass, drums, and a guitar or a piano will do.
        soundfonts: names or paths; one is drawn for each part.
        kits: names or paths of Hydrogen drum kits.
        voices: names or paths of folders of solo voices.
    """

    hours: float | None = None
    songs: int | None = None
    midi: float = 0.0
    styles: tuple[str, ...] = ()
    seconds: tuple[float, float] = (120.0, 240.0)
    full_band: bool = False
    soundfonts: tuple[str, ...] = (EMBEDDED,)
    kits: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """Its part of the MIDI files, before it is set against the other splits."""
        middle = sum(self.seconds) / 2
        return self.midi * (self.hours if self.hours is not None else (self.songs or 0) * middle / 3600)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A dataset; two with equal recipes and equal sounds are equal byte by byte.

    Attributes:
        seed: of everything that is drawn.
        layout: "slakh" or "musdb".
        sample_rate: in Hz.
        n_channels: 1 or 2.
        drum_pieces: "slakh": whether the pieces of the drum kit are written too.
        submixes: "slakh": whether the sums of all bass, drums, guitar and piano stems are written too.
        keep_program: see `RenderConfig`.
        humanise: of songs from MIDI files; see `RenderConfig`.
        effects: see `RenderConfig`.
        synthesizer: see `RenderConfig`.
        splits: name, which is that of its folder -> split. "train", "validation" and "test" may have an ending.
        subsets: name -> split -> how many of its first songs; parts of the dataset that can be built alone.
    """

    seed: int = 0
    layout: Literal["slakh", "musdb"] = "slakh"
    sample_rate: int = 44100
    n_channels: int = 2
    drum_pieces: bool = False
    submixes: bool = False
    keep_program: float = 0.5
    humanise: float = 0.0
    effects: float = 1.0
    synthesizer: Literal["soli", "fluidsynth"] = "soli"
    splits: dict[str, Split] = field(default_factory=lambda: {"train": Split(hours=1.0)})
    subsets: dict[str, dict[str, int]] = field(default_factory=dict)

    def parts(self, subset: str | None) -> dict[str, int | None]:
        """What a subset holds.

        Args:
            subset: name of one, or of a split; None for everything.

        Returns:
            Split -> how many of its first songs, or None for all.

        Raises:
            SoliError: for an unknown name.
        """
        if subset is None:
            return dict.fromkeys(self.splits)
        if subset in self.subsets:
            return dict(self.subsets[subset])
        if subset in self.splits:
            return {subset: None}
        raise SoliError(f"subset {subset!r} does not exist; allowed: {', '.join((*self.subsets, *self.splits))}")

    def scaled(self, hours: float) -> Recipe:
        """The same dataset in another size.

        Args:
            hours: of all splits together; they keep their shares.

        Returns:
            Another recipe.

        Raises:
            SoliError: for hours that are not positive, and for splits whose size is a number of songs.
        """
        if not hours > 0:
            raise SoliError(f"hours={hours:g}; allowed: more than 0")
        counted = [name for name, split in self.splits.items() if split.hours is None]
        if counted:
            raise SoliError(f"hours={hours:g}, but {counted[0]} is to have a number of songs; leave out the one")
        factor = hours / sum(split.hours or 0.0 for split in self.splits.values())
        sized = {name: replace(split, hours=(split.hours or 0.0) * factor) for name, split in self.splits.items()}
        return replace(self, splits=sized)


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: of a TOML file.
        overrides: see `soli.config.load_toml`.

    Returns:
        The recipe, checked.

    Raises:
        SoliError: for an unknown key, which lists the known ones, and for a value that is not allowed.
    """
    recipe = from_dict(Recipe, load_toml(path, overrides))
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """Find what cannot be rendered before any work is done.

    Args:
        recipe: of a dataset.

    Raises:
        SoliError: for a value that is not allowed.
    """
    if not 8000 <= recipe.sample_rate <= 192000:
        raise SoliError(f"sample_rate = {recipe.sample_rate}; allowed: 8000 to 192000")
    for name in ("keep_program", "humanise", "effects"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise SoliError(f"{name} = {getattr(recipe, name)}; allowed: 0 to 1")
    if recipe.n_channels not in (1, 2):
        raise SoliError(f"n_channels = {recipe.n_channels}; allowed: 1 or 2")
    if recipe.layout == "musdb" and (recipe.drum_pieces or recipe.submixes):
        key = "drum_pieces" if recipe.drum_pieces else "submixes"
        raise SoliError(f"{key} = true; allowed with layout 'slakh' only, musdb has no place for them")
    if not any(name in ("train", "validation", "test") for name in recipe.splits):
        named = ", ".join(recipe.splits) or "none"
        raise SoliError(f"splits {named}; one must be called train, validation or test, or loaders take none for one")
    for name, split in recipe.splits.items():
        _check_split(name, split)
    for subset, counts in recipe.subsets.items():
        for name, count in counts.items():
            if name not in recipe.splits or count < 1:
                raise SoliError(f"subsets.{subset}.{name} = {count}; allowed: a split and 1 song or more")


def _check_split(name: str, split: Split) -> None:
    """See `check_recipe`."""
    where = f"splits.{name}"
    if not _SPLIT.fullmatch(name) or "/" in name:
        raise SoliError(f"{where}: allowed are train, validation and test, with an ending such as _b")
    sizes = [size for size in (split.hours, split.songs) if size is not None]
    if len(sizes) != 1 or not sizes[0] > 0:
        raise SoliError(f"{where}: hours = {split.hours}, songs = {split.songs}; allowed: one of them, more than 0")
    if not 0 <= split.midi <= 1:
        raise SoliError(f"{where}.midi = {split.midi}; allowed: 0 to 1")
    if not SHORTEST <= split.seconds[0] <= split.seconds[1] <= LONGEST:
        raise SoliError(f"{where}.seconds = {list(split.seconds)}; allowed: two from {SHORTEST:g} to {LONGEST:g}")
    unknown = next((style for style in split.styles if style not in STYLES), None)
    if unknown is not None:
        raise SoliError(f"{where}.styles: {unknown!r} is not one of {', '.join(STYLES)}")
    if not split.soundfonts:
        raise SoliError(f"{where}.soundfonts is empty; allowed: one SoundFont or more")
