"""From recordings of one instrument to its prior: what `soli prior train` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soli import zoo
from soli.config import from_dict, overridden
from soli.data.build import open_caches
from soli.data.cache import Cache
from soli.data.mixing import Mixer
from soli.errors import SoliError
from soli.systems.flowprior.calibration import calibrate
from soli.systems.flowprior.separator import FlowPrior
from soli.training.run import Recipe, train_recipe

BANK = "interference"
"""The class of everything in the bank."""
_HELD_OUT = 10  # one recording in so many is for calibration
_N_HELD_OUT = 64  # mixtures
_MIXING = {
    "segment_seconds": 6.0,
    "mono": True,
    "coherent": 0.0,
    "drop": 0.1,
    "gain_db": 6.0,
    "equalise": 0.6,
    "speed": 0.6,
    "speed_range": 1.25,
    "swap": 0.0,
    "layer": 0.3,
}
_TRAINING = {
    "steps": 1500,
    "batch_size": 4,
    "optimizer": "muon",
    "learning_rate": 3e-3,
    "warmup": 50,
    "cooldown": 0.8,
    "ema": 0.995,
    "validate_every": 0,
}


@dataclass(frozen=True, kw_only=True)
class PriorRequest:
    """What a prior is to be learned from.

    Attributes:
        instrument: its name; a source of every separator that has the prior.
        recordings: folder of recordings in which nothing else sounds.
        out: folder for the prior.
        bank: folders of recordings in which the instrument does not sound; without them there is no extractor, and
            the prior is searched.
        work: folder for decoded audio and checkpoints.
        overrides: of the recipe, `key=value`.
    """

    instrument: str
    recordings: Path
    out: Path
    bank: tuple[Path, ...] = ()
    work: Path = Path("runs/prior")
    overrides: tuple[str, ...] = ()


def train_prior(
    request: PriorRequest,
    resume: bool = False,
    *,
    report: Callable[[str], None],
    on_step: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Learn a prior, calibrate it on recordings held out, and save it.

    Args:
        request: what from.
        resume: go on from the last checkpoint in `request.work`.
        report: called with lines about the data being decoded.
        on_step: called after every step with its number, the number of steps in all, and the losses.

    Returns:
        The prior's folder, which `soli.load("flowprior:FOLDER")` reads.

    Raises:
        SoliError: for a folder without audio, an unknown key or a wrong value.
    """
    recipe = prior_recipe(request)
    task = train_recipe(recipe, resume, report=report, on_step=on_step)
    separator = task.separator
    assert isinstance(separator, FlowPrior)
    caches = open_caches(Path(recipe.cache), recipe.data, report, sample_rate=separator.sample_rate, n_channels=1)
    with torch.random.fork_rng(devices=[]):
        calibrate(separator, _held_out(caches, recipe))
    return zoo.save(separator, request.out, _card(request, recipe), half=True)


def prior_recipe(request: PriorRequest) -> Recipe:
    """The recipe of a prior.

    Args:
        request: what from.

    Returns:
        As if read from a file.

    Raises:
        SoliError: for an unknown key or a wrong value.
    """
    if not request.instrument.isidentifier() or request.instrument in (BANK, "mixture", "residual"):
        raise SoliError(f"instrument {request.instrument!r}; allowed: a word of letters, digits and _, not {BANK!r}")
    solos = {
        "collection": "solos",
        "kind": "solos",
        "path": str(request.recordings),
        "pattern": "**/*.*",
        "label": request.instrument,
        "validation_every": _HELD_OUT,
    }
    bank = [
        {**solos, "collection": f"bank{index}", "path": str(folder), "label": BANK}
        for index, folder in enumerate(request.bank, start=1)
    ]
    table: dict[str, Any] = {
        "system": "flowprior",
        "preset": "modern",
        "output": str(request.work),
        "cache": str(request.work / "cache"),
        "data": [solos, *bank],
        "model": {"sources": [request.instrument], "engine": "extract" if bank else "search"},
        "task": {} if bank else {"extractor_weight": 0.0},
        "mixing": {"sources": [request.instrument, *([BANK] if bank else [])], **_MIXING},
        "training": dict(_TRAINING),
    }
    return from_dict(Recipe, overridden(table, request.overrides))


def _held_out(caches: list[Cache], recipe: Recipe) -> Iterator[Tensor]:
    """Mixtures of recordings that were not trained on, half of them without the instrument."""
    mixer = Mixer(caches, replace(recipe.mixing, drop=0.5, layer=0.0), seed=recipe.training.seed, split="validation")
    for index in range(_N_HELD_OUT):
        yield torch.from_numpy(mixer.mixture(index))[None]


def _card(request: PriorRequest, recipe: Recipe) -> str:
    bank = ", ".join(folder.name for folder in request.bank) or "none"
    seconds = recipe.training.steps * recipe.training.batch_size * recipe.mixing.segment_seconds
    return f"""---
licence: not stated
summary: prior of {request.instrument}, learned from solo recordings
---

# A prior of {request.instrument}

Learned by `soli prior train --instrument {request.instrument}` from the solos in {request.recordings.name} (bank of
interference: {bank}): {recipe.training.steps} steps, {seconds / 3600:.1f} hours of mixtures.

Licence, data and metrics are for whoever publishes these weights to state.
"""
