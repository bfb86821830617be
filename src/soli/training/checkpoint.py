"""Everything a training needs to go on exactly where it stopped, as safetensors and JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from soli.errors import SoliError


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        step: optimiser steps done.
        seconds: wall-clock time spent in the loop.
        best: lowest validation score so far.
        history: `(step, validation score)`.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    history: list[tuple[int, float]] = field(default_factory=list)


def save_checkpoint(
    path: Path, *, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write a checkpoint; an interrupted write leaves the previous one in place.

    Args:
        path: ends in `.safetensors`.
        model: weights being trained.
        ema: their moving average.
        optimizer: its moments are kept.
        progress: kept in the file's metadata.
    """
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    tensors |= {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    temporary = path.with_name(path.name + ".tmp")
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, temporary, _metadata(progress))
    os.replace(temporary, path)


def load_checkpoint(path: Path, *, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Restore what `save_checkpoint` wrote.

    Args:
        path: of the checkpoint.
        model: receives the weights.
        ema: receives the averaged weights.
        optimizer: receives its moments.

    Returns:
        The progress at that time.

    Raises:
        SoliError: when the file is damaged or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            progress = Progress(**json.loads(file.metadata()["progress"]))
        model.load_state_dict(_under("model.", tensors))
        ema.load_state_dict(_under("ema.", tensors))
        optimizer.load_state_dict(_optimizer_state(optimizer, _under("optimizer.", tensors)))
    except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise SoliError(f"{path}: cannot resume from this checkpoint ({str(error).splitlines()[0]})") from error
    torch.set_rng_state(tensors["rng"])
    return progress


def _metadata(progress: Progress) -> dict[str, str]:
    return {"progress": json.dumps(vars(progress))}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimizer_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {**optimizer.state_dict(), "state": state}
