"""Does training wait for data? Writes benchmarks/results/training.{json,md}.

Two measures of a recipe, in seconds of mixture audio per second of the clock: what one worker prepares, drawing
mixtures from the cache with nothing beside it, and what the training step takes in, with the recipe's own workers,
batch, precision and threads. The step is timed in parts: waiting for the batch, forward, backward, and the optimiser
with clipping and weight averaging. Nothing is validated, logged or saved.

    python benchmarks/training.py recipes/classcond/modern.toml
    python benchmarks/training.py recipes/classcond/modern.toml --set cache=FOLDER --steps 30
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from clips import RESULTS, machine, run, table, write_results
from torch import Tensor

from soli.data.build import open_caches
from soli.data.mixing import Mixer, batches
from soli.devices import resolve_precision
from soli.losses import Task
from soli.training.fit import FitConfig, update_average
from soli.training.optimizer import make_optimizer
from soli.training.run import Recipe, build_task, load_recipe

PHASES = ("wait", "forward", "backward", "optimiser")


def main(arguments: argparse.Namespace) -> None:
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    torch.manual_seed(recipe.training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = build_task(recipe).to(device)
    n_channels = 1 if recipe.mixing.mono else 2
    rate = task.separator.sample_rate
    caches = open_caches(Path(recipe.cache), recipe.data, print, sample_rate=rate, n_channels=n_channels)
    mixer = Mixer(caches, recipe.mixing, seed=recipe.training.seed)
    pipeline = measure_pipeline(mixer, arguments.mixtures)
    phases = measure_steps(task, mixer, recipe.training, device, arguments.steps, arguments.warmup)
    data = summarise(recipe, pipeline, phases) | {
        "recipe": arguments.recipe.name,
        "machine": machine() | {"device": str(device), "load_before": os.getloadavg()[1]},
    }
    write_results(arguments.output, data, as_markdown(data))


def measure_pipeline(mixer: Mixer, n_mixtures: int) -> float:
    """Seconds of mixture audio that one process prepares in a second; the first mixture is left out."""
    mixer.mixture(0)
    began = time.perf_counter()
    for index in range(1, n_mixtures + 1):
        mixer.mixture(index)
    return n_mixtures * mixer.config.segment_seconds / (time.perf_counter() - began)


def measure_steps(
    task: Task, mixer: Mixer, config: FitConfig, device: torch.device, n_steps: int, warmup: int
) -> dict[str, float]:
    """Mean seconds of each part of a training step, as `soli.training.fit` does it."""
    optimizer = make_optimizer(
        task, config.optimizer, learning_rate=config.learning_rate, weight_decay=config.weight_decay
    )
    average = copy.deepcopy(task).eval().requires_grad_(False)
    stream = batches(mixer, batch_size=config.batch_size, n_workers=config.n_workers)
    spent = dict.fromkeys(PHASES, 0.0)
    task.train()
    for step in range(-warmup, n_steps):
        if step == 0:
            spent = dict.fromkeys(PHASES, 0.0)
        with timed(spent, "wait", device):
            stems = next(stream).to(device)
        with timed(spent, "forward", device):
            total = forward(task, stems, config)
        with timed(spent, "backward", device):
            total.backward()
        with timed(spent, "optimiser", device):
            torch.nn.utils.clip_grad_norm_(task.parameters(), config.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            update_average(average, task, config.ema)
    return {phase: seconds / n_steps for phase, seconds in spent.items()}


def forward(task: Task, stems: Tensor, config: FitConfig) -> Tensor:
    """The loss of a batch in the recipe's precision."""
    with torch.autocast(
        stems.device.type, torch.bfloat16, enabled=resolve_precision(config.precision, stems.device) == "bf16"
    ):
        return torch.stack(list(task(stems).values())).sum()


@contextmanager
def timed(spent: dict[str, float], phase: str, device: torch.device) -> Iterator[None]:
    """Add the time of a block to a phase."""
    began = time.perf_counter()
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    spent[phase] += time.perf_counter() - began


def summarise(recipe: Recipe, pipeline: float, phases: dict[str, float]) -> dict[str, Any]:
    """The two rates, and which of them holds the other up."""
    audio = recipe.training.batch_size * recipe.mixing.segment_seconds
    total = sum(phases.values())
    return {
        "measure": "seconds of mixture audio per second",
        "batch_size": recipe.training.batch_size,
        "segment_seconds": recipe.mixing.segment_seconds,
        "precision": recipe.training.precision,
        "n_workers": recipe.training.n_workers,
        "prepared_per_worker": pipeline,
        "prepared": pipeline * max(recipe.training.n_workers, 1),
        "taken_without_waiting": audio / (total - phases["wait"]),
        "trained": audio / total,
        "seconds_per_step": phases,
        "waiting": phases["wait"] / total,
    }


def as_markdown(data: dict[str, Any]) -> str:
    """The same as tables and a sentence."""
    rates = ("prepared_per_worker", "prepared", "taken_without_waiting", "trained")
    phases, waiting = data["seconds_per_step"], data["waiting"]
    total = sum(phases.values())
    batch = f"{data['batch_size']} x {data['segment_seconds']:g} s, precision: {data['precision']}"
    verdict = "waits for data" if waiting > 0.05 else "does not wait for data"
    return (
        f"# Training\n\n`{data['recipe']}`, steps of {batch}, workers: {data['n_workers']}.\n"
        f"The step {verdict}: {100 * waiting:.1f} % of its time.\n\n"
        + table(("audio seconds per second", ""), [(name.replace("_", " "), data[name]) for name in rates])
        + "\n"
        + table(
            ("part of a step", "milliseconds", "%"),
            [(name, 1000 * seconds, 100 * seconds / total) for name, seconds in phases.items()],
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="TOML file, as for soli train")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=20, help="steps measured")
    parser.add_argument("--warmup", type=int, default=3, help="steps before them, not counted")
    parser.add_argument("--mixtures", type=int, default=40, help="drawn to measure one worker")
    parser.add_argument("--output", type=Path, default=RESULTS / "training.json")
    run(main, parser)
