"""From recordings of one instrument to its prior: what `soli prior train` does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soli import zoo
from soli.config import from_dict, overridden
from soli.errors import SoliError
from soli.systems.flowprior.paper import InstGlow
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.split import check_instrument, split
from soli.training.run import Recipe, train_recipe

BANK = "interference"
"""The class of everything in the bank."""
_HELD_OUT = 10  # one recording in so many is for calibration
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
    """Learn a prior and save it; nothing is begun that could not be saved.

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
    _check_writable(request.out)
    separator = train_recipe(recipe, resume, report=report, on_step=on_step).separator
    return zoo.save(separator, request.out, _card(request, recipe), half=True)


def split_prior(model: str | Path, out: Path) -> list[Path]:
    """Cut a model of several instruments into one folder for each.

    Args:
        model: as for `soli.load`; of either preset of `flowprior`, but not one flow shared by all instruments.
        out: receives a folder named after each instrument.

    Returns:
        The folders, each of which `soli.load("flowprior:FOLDER")` reads.

    Raises:
        SoliError: for a model of another kind, and a folder that cannot be written.
    """
    separator, folder = zoo.load(model), Path(model)
    if not isinstance(separator, FlowPrior | InstGlow):
        raise SoliError(f"{model} is a model of {type(separator).__name__}; allowed: one of flowprior")
    info = zoo.model_info(model)
    card = (folder / zoo.CARD_FILE).read_text(encoding="utf-8") if folder.is_dir() else ""
    for name in separator.sources:
        check_instrument(name)
    return [
        zoo.save(alone, out / name, _card_of_part(card, info, name), half=True)
        for name, alone in zip(separator.sources, split(separator), strict=True)
    ]


def prior_recipe(request: PriorRequest) -> Recipe:
    """The recipe of a prior.

    Args:
        request: what from.

    Returns:
        As if read from a file.

    Raises:
        SoliError: for an unknown key or a wrong value.
    """
    check_instrument(request.instrument, taken=(BANK, "mixture", "residual"))
    solos = {
        "collection": "solos",
        "kind": "solos",
        "path": str(request.recordings),
        "pattern": "**/*",
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
    recipe = from_dict(Recipe, overridden(table, request.overrides))
    if (recipe.system, recipe.preset) != ("flowprior", "modern"):
        raise SoliError(f"a prior of {recipe.system}/{recipe.preset}; allowed: flowprior/modern")
    return recipe


def _check_writable(folder: Path) -> None:
    """Find out before the training whether its result can be written; nothing is left behind."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SoliError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        for path in made:
            with suppress(OSError):  # it was not made, or somebody has put something in it
                path.rmdir()


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


def _card_of_part(card: str, info: zoo.ModelInfo, name: str) -> str:
    """The card of a whole model, which now says whose prior this is."""
    body = card.partition("---")[2].partition("\n---")[2]
    front = f"---\nlicence: {info.licence}\nsummary: prior of {name}; {info.summary}\n---\n"
    return f"{front}\nThe prior of {name}, from a model of {', '.join(info.sources)}.\n{body}"
