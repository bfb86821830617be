"""The one training loop, read from top to bottom; of several processes, all run it and the first writes."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from soli.devices import Precision, resolve_device, resolve_precision
from soli.losses import Task
from soli.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from soli.training.optimizer import make_optimizer
from soli.training.processes import agree

CHECKPOINT, BEST, LOG = "checkpoint.safetensors", "best.safetensors", "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How to optimise.

    Attributes:
        steps: optimiser steps in all.
        batch_size: mixtures in a step, of each process.
        learning_rate: at its peak.
        warmup: steps of linear rise.
        cooldown: the last fraction of the steps, over which a half cosine takes the rate to zero;
            1 is the plain cosine schedule, less keeps the peak rate for a while, so that a
            training can be prolonged.
        optimizer: `adamw`, or `muon` for the matrices and kernels.
        weight_decay: on matrices and kernels only.
        betas: how long AdamW remembers gradients and their squares.
        clip: largest gradient norm, of each part of the task that learns by itself. A part whose norm is not finite
            sits the step out, and so does a task of one part whose loss is not.
        ema: decay of the weight average that is validated and exported.
        precision: `bf16` runs matrices and convolutions in bfloat16; `auto` does so where that is faster.
        validate_every: steps between validations, of which there is one at the end too; 0 for none at all.
        checkpoint_every: steps between checkpoints.
        n_workers: processes that prepare batches.
        seed: of weights, mixtures and dropout.
        tensorboard: also log for TensorBoard.
    """

    steps: int = 10000
    batch_size: int = 4
    learning_rate: float = 1e-3
    warmup: int = 200
    cooldown: float = 1.0
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 5.0
    ema: float = 0.999
    precision: Precision = "auto"
    validate_every: int = 500
    checkpoint_every: int = 200
    n_workers: int = 1
    seed: int = 0
    tensorboard: bool = False


def fit(
    task: Task,
    batches: Callable[[int], Iterator[Tensor]],
    config: FitConfig,
    folder: Path,
    *,
    validate: Callable[[Task], float] | None = None,
    resume: bool = False,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> Task:
    """Train a task and return the task with its averaged weights.

    Args:
        task: the losses, and the separator they train.
        batches: given the index of the first mixture of all processes, an endless iterator of `[B S C T]`.
        config: how to optimise.
        folder: receives `checkpoint.safetensors`, `best.safetensors` and `log.jsonl`.
        validate: averaged task -> score, lower is better; decides what `best` is.
        resume: go on from the folder's checkpoint, if there is one.
        on_step: called after every step with the losses.

    Returns:
        The task with averaged weights, those of the best validation if there was one.
    """
    accelerator = _accelerator(config.precision)
    optimizer = make_optimizer(
        task,
        config.optimizer,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=config.betas,
    )
    average = copy.deepcopy(task).eval().requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    state = {"model": task, "ema": average, "optimizer": optimizer}
    progress = Progress()
    if resume and (folder / CHECKPOINT).exists():
        progress = load_checkpoint(folder / CHECKPOINT, **state)
    average.to(accelerator.device)
    module, prepared = accelerator.prepare(task, optimizer)
    stream = batches(progress.step * config.batch_size * accelerator.num_processes)
    first = accelerator.is_main_process
    log = Log(folder, tensorboard=config.tensorboard, from_step=progress.step) if first else None
    previous, started = progress.seconds, time.monotonic()

    while progress.step < config.steps:
        rate = learning_rate(progress.step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        stems = next(stream).to(accelerator.device)
        losses, norms = _gradients(task, module.train(), stems, config.clip, accelerator)
        prepared.step()
        prepared.zero_grad(set_to_none=True)
        update_average(average, task, min(config.ema, (1 + progress.step) / (10 + progress.step)))

        progress.step += 1
        if progress.step == 1:
            agree(task)
            agree(average)
        if log is None:
            continue
        progress.seconds = previous + time.monotonic() - started
        values = {name: value.item() for name, value in losses.items()} | {"norm": float(norms.max()), "rate": rate}
        log.write(progress.step, progress.seconds, values)
        if on_step:
            on_step(progress.step, values)
        if validate and _due(progress.step, config):
            score = validate(average)
            progress.history.append((progress.step, score))
            log.write(progress.step, progress.seconds, {"validation": score})
            if score < progress.best:
                progress.best = score
                save_checkpoint(folder / BEST, **state, progress=progress)
        if progress.step % config.checkpoint_every == 0 or progress.step == config.steps:
            save_checkpoint(folder / CHECKPOINT, **state, progress=progress)
    if log is not None:
        log.close()
    accelerator.wait_for_everyone()
    if config.validate_every and math.isfinite(progress.best):  # of this training, not an earlier run's
        load_checkpoint(folder / BEST, **state)
    return average


def _accelerator(precision: Precision) -> Accelerator:
    AcceleratorState._reset_state()  # which else keeps the precision of the first training of a process
    resolved = resolve_precision(precision, resolve_device("auto" if torch.cuda.is_available() else "cpu"))
    return Accelerator(
        mixed_precision=resolved,
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # silent stems teach no prior
    )


def _gradients(
    task: Task, module: nn.Module, stems: Tensor, clip: float, accelerator: Accelerator
) -> tuple[dict[str, Tensor], Tensor]:
    """Losses of a batch, and the norms `[P]` of the parts' gradients before they were clipped."""
    with accelerator.autocast():
        losses = module(stems)
    total = torch.stack(list(losses.values())).sum()
    accelerator.backward(total)
    norms = clip_gradients(task.parts, clip, accelerator.device)
    for part, norm in zip(task.parts, norms.tolist(), strict=True):
        if not math.isfinite(norm) or (len(norms) == 1 and not torch.isfinite(total)):
            part.zero_grad(set_to_none=True)
    return losses, norms


def learning_rate(step: int, config: FitConfig) -> float:
    """Linear rise, a flat stretch, and half a cosine down to zero.

    Args:
        step: optimiser steps done so far.
        config: gives peak, warm-up and cool-down.

    Returns:
        The rate of the next step.
    """
    start = config.steps * (1 - config.cooldown)
    fraction = max(step - start, 0.0) / max(config.steps - start, 1.0)
    rise = min(1.0, (step + 1) / max(config.warmup, 1))
    return config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * fraction))


def clip_gradients(parts: Sequence[nn.Module], largest: float, device: torch.device) -> Tensor:
    """Scale the gradients of each part down to a norm, if theirs is larger.

    Args:
        parts: of a task; one may have no gradient at all.
        largest: the norm.
        device: of the result.

    Returns:
        The norms they had, `[P]`.
    """
    return torch.stack([nn.utils.clip_grad_norm_(part.parameters(), largest).to(device) for part in parts])


def _due(step: int, config: FitConfig) -> bool:
    """Whether to validate after a step."""
    return bool(config.validate_every) and (step % config.validate_every == 0 or step == config.steps)


@torch.no_grad()
def update_average(average: nn.Module, task: nn.Module, decay: float) -> None:
    """Move the averaged weights a step towards the current ones; buffers are copied.

    Args:
        average: updated in place.
        task: the current weights.
        decay: how much of the old average stays.
    """
    pairs = zip(average.parameters(), task.parameters(), strict=True)
    olds, news = map(list, zip(*pairs, strict=True))
    torch._foreach_lerp_(olds, [new.detach() for new in news], 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
    for old, new in zip(average.buffers(), task.buffers(), strict=True):
        old.copy_(new)


class Log:
    """One JSON object a line, and TensorBoard if asked for.

    Args:
        folder: receives `log.jsonl`; lines after `from_step` are dropped, a resumed run rewrites them.
        tensorboard: also write TensorBoard events.
        from_step: the step training goes on from.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, from_step: int = 0) -> None:
        path = folder / LOG
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= from_step] if from_step else []
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._file.writelines(line + "\n" for line in kept)
        self._board = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder))

    def write(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Add a line.

        Args:
            step: optimiser steps done.
            seconds: since training began.
            values: what to note.
        """
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        self._file.write(json.dumps({"step": step, "seconds": round(seconds, 1), **rounded}) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the files."""
        self._file.close()
        if self._board:
            self._board.close()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
