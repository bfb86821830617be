"""How fast are mixtures made? Writes benchmarks/results/data.{json,md}.

Seconds of mixture, all its stems, per second: for each stage alone, for whole recipes, and as the loader delivers them.
Stages take turns, so that whatever else the machine does meets all of them; the time of a stage is the processor time
of one process, the time of the loader is the clock's. Each augmentation is measured with probability 1 on top of plain
incoherent mixtures, and what it adds to them is given beside it.

    python benchmarks/data.py
    python benchmarks/data.py --cache runs/cache --rounds 9
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clips import RESULTS, machine, run, table, write_results

from soli.data.cache import Cache, CacheWriter, is_cache
from soli.data.classes import CLASSES
from soli.data.mixing import PAPER_MIXING, Mixer, MixingConfig, batches
from soli.errors import SoliError
from soli.training.run import load_recipe

PLAIN = {"coherent": 0.0, "drop": 0.0, "gain_db": 0.0, "polarity": 0.0, "swap": 0.0, "speed": 0.0}
AUGMENTATIONS = {
    "gain, polarity, swap": {"gain_db": 4.0, "polarity": 1.0, "swap": 1.0},
    "pan": {"pan": 1.0},
    "layer": {"layer": 1.0},
    "speed": {"speed": 1.0},
    "tempo": {"tempo": 1.0},
    "pitch": {"pitch": 1.0},
    "equaliser": {"equalise": 1.0},
    "tilt": {"tilt": 1.0},
    "reverb": {"reverb": 1.0},
    "equal RMS": {"equal_loudness": True},
    "equal loudness": {"equal_loudness": True, "loudness": "lufs"},
}
HALF = dict.fromkeys(("speed", "tempo", "pitch", "layer", "pan", "equalise", "tilt", "reverb"), 0.5)
RECIPE = Path(__file__).parents[1] / "recipes" / "classcond" / "modern.toml"
PREFETCH = 2
Stage = Callable[[int], object]
"""Index of a mixture -> the work."""


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        caches = open_caches(arguments.cache) if arguments.cache else [made(Path(folder))]
        sources = tuple(name for name in CLASSES if any(stem.label == name for cache in caches for stem in cache.stems))
        plain = MixingConfig(sources=sources, segment_seconds=arguments.seconds, **PLAIN)  # type: ignore[arg-type]
        stages = single_stages(caches, plain, arguments.recipe)
        rates = measure(stages, arguments.rounds, arguments.mixtures)
        loaders = measure_loaders(caches, mixing_of(arguments.recipe, plain), arguments)
    rates, loaders = ({name: plain.segment_seconds * rate for name, rate in part.items()} for part in (rates, loaders))
    data = {
        "measure": "seconds of mixture per second",
        "machine": machine() | {"cores": os.cpu_count(), "load_before": load},
        "cache": str(arguments.cache or "synthetic"),
        "recipe": arguments.recipe.name,
        "sources": list(sources),
        "segment_seconds": plain.segment_seconds,
        "rounds": arguments.rounds,
        "mixtures_per_round": arguments.mixtures,
        "per_core": rates,
        "added_milliseconds_per_second": {
            name: 1000 / rates[name] - 1000 / rates["incoherent"] for name in AUGMENTATIONS
        },
        "loader": loaders,
    }
    write_results(arguments.output, data, as_markdown(data))


def made(folder: Path, n_songs: int = 6, seconds: float = 15.0) -> Cache:
    """A cache of coloured noise in four classes."""
    rng = np.random.default_rng(0)
    with CacheWriter(folder) as writer:
        for song in range(n_songs):
            for label in CLASSES:
                white = rng.standard_normal((2, round(seconds * writer.sample_rate)), dtype=np.float32)
                audio = 0.1 * (white[:, 1:] + white[:, :-1])
                writer.add(audio, collection="made", track=f"{song}", label=label)
    return Cache(folder)


def open_caches(folder: Path) -> list[Cache]:
    """One cache, or a folder of them."""
    folders = [folder] if is_cache(folder) else sorted(path.parent for path in folder.glob("*/index.json"))
    if not folders:
        raise SoliError(f"{folder}: no training cache here; `soli train` builds one")
    return [Cache(path) for path in folders]


def mixing_of(recipe: Path, plain: MixingConfig) -> MixingConfig:
    """The mixing of a recipe, on whatever collections there are."""
    mixing = load_recipe(recipe, []).mixing
    return replace(mixing, sources=plain.sources, segment_seconds=plain.segment_seconds, weights=())


def single_stages(caches: list[Cache], plain: MixingConfig, recipe: Path) -> dict[str, Stage]:
    """What is measured in one process, by name."""

    def mixture(**settings: object) -> Stage:
        return Mixer(caches, replace(plain, **settings)).mixture  # type: ignore[arg-type]

    drawn = Mixer(caches, plain)
    paper = replace(PAPER_MIXING["train"], sources=plain.sources, segment_seconds=plain.segment_seconds)
    stages: dict[str, Stage] = {
        "draw": drawn.draw,
        "draw and read": lambda index: read(drawn, index),
        "incoherent": drawn.mixture,
    }
    if drawn.library.songs:
        stages["coherent"] = mixture(coherent=1.0)
    stages |= {name: mixture(**settings) for name, settings in AUGMENTATIONS.items()}
    return stages | {
        "paper": Mixer(caches, paper).mixture,
        recipe.stem: Mixer(caches, mixing_of(recipe, plain)).mixture,
        "everything, half the time": mixture(**HALF, coherent=0.5, equal_loudness=True, loudness="lufs"),
    }


def read(mixer: Mixer, index: int) -> None:
    """Draw a mixture and read its excerpts."""
    recipe = mixer.draw(index)
    for stem in recipe.stems:
        for excerpt in stem.excerpts:
            mixer.library.read(excerpt, recipe.n_samples)


def measure(stages: dict[str, Stage], rounds: int, n_mixtures: int) -> dict[str, float]:
    """Mixtures per second of processor time, median over rounds; the first mixture of a stage is left out."""
    spent: dict[str, list[float]] = {name: [] for name in stages}
    for stage in stages.values():
        stage(0)
    for number in range(rounds):
        for name, stage in stages.items():
            began = time.process_time()
            for index in range(n_mixtures):
                stage(1 + number * n_mixtures + index)
            spent[name].append(time.process_time() - began)
    return {name: n_mixtures / statistics.median(values) for name, values in spent.items()}


def measure_loaders(caches: list[Cache], config: MixingConfig, arguments: argparse.Namespace) -> dict[str, float]:
    """Mixtures per second by the clock with each number of workers, from the first batch on."""
    spent: dict[int, list[float]] = {n_workers: [] for n_workers in arguments.workers}
    for number in range(arguments.rounds):
        for n_workers, values in spent.items():
            mixer = Mixer(caches, config, seed=number)
            stream = batches(mixer, batch_size=arguments.batch, n_workers=n_workers, prefetch=PREFETCH)
            next(stream)
            began = time.perf_counter()
            for _ in islice(stream, arguments.batches):
                pass
            values.append(time.perf_counter() - began)
    n_mixtures = arguments.batch * arguments.batches
    return {str(n_workers): n_mixtures / statistics.median(values) for n_workers, values in spent.items()}


def as_markdown(data: dict[str, Any]) -> str:
    """The same as tables."""
    rates, added = data["per_core"], data["added_milliseconds_per_second"]
    stages = [(name, rate, added.get(name, "")) for name, rate in rates.items()]
    fewest = next(iter(data["loader"].values()))
    workers = [(name, rate, rate / fewest) for name, rate in data["loader"].items()]
    load = data["machine"]["load_before"]
    busy = f"The machine was busy (load {load:.1f}): to be measured again on an idle one.\n\n" if load > 0.5 else ""
    return (
        f"# Mixtures made per second\n\n{busy}{len(data['sources'])} stems of {data['segment_seconds']:g} s, "
        f"cache: {data['cache']}. {data['rounds']} rounds, in which the stages take turns; medians.\n\n"
        "One process, by its processor time. What an augmentation adds is over plain incoherent mixtures.\n\n"
        + table(("stage", "seconds of mixture per second", "ms added per second of mixture"), stages)
        + f"\nThe loader with the mixing of `{data['recipe']}`, by the clock, on {data['machine']['cores']} cores.\n\n"
        + table(("workers", "seconds of mixture per second", "times the first row"), workers)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="a training cache or a folder of them; made of noise otherwise")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="whose mixing is measured whole")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a mixture")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mixtures", type=int, default=10, help="of each stage in a round")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="of the loader")
    parser.add_argument("--batch", type=int, default=4, help="mixtures in a batch of the loader")
    parser.add_argument("--batches", type=int, default=20, help="of each loader in a round")
    parser.add_argument("--output", type=Path, default=RESULTS / "data.json")
    run(main, parser)
