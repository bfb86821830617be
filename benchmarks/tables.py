"""Published tables from nothing: models that are trained unless they are there, and measured together."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from soli.data.layouts import open_dataset
from soli.disk import write_whole
from soli.evaluation.protocols import find_protocol
from soli.evaluation.run import evaluate
from soli.evaluation.tables import markdown
from soli.training.run import run_recipe
from soli.zoo import CONFIG_FILE

RECIPES = Path(__file__).parents[1] / "recipes"
BESIDE = ("mixture", "oracle:ratio")


class Row(NamedTuple):
    """A model to train: its name, its recipe, and what differs from it."""

    name: str
    recipe: str
    changes: tuple[str, ...] = ()


def data(collection: str, layout: str, folder: Path) -> str:
    """The table of a recipe's data, as an override."""
    return f'data=[{{collection="{collection}", kind="dataset", layout="{layout}", path="{folder.resolve()}"}}]'


def trained(row: Row, work: Path, source: str, changes: Sequence[str]) -> Path:
    """The folder of a model, which is trained unless it is there."""
    model = work / "models" / row.name
    if not (model / CONFIG_FILE).exists():
        print(f"{row.name}: {row.recipe}", flush=True)
        places = [source, f'output="{work / "trainings" / row.name}"', f'cache="{work / "cache"}"']
        made = run_recipe(RECIPES / row.recipe, [*places, *row.changes, *changes], resume=True)
        model.parent.mkdir(exist_ok=True)
        made.rename(model)
    return model


def measured(
    models: Sequence[str | Path],
    folder: Path,
    split: str,
    protocol: str,
    sources: tuple[str, ...],
    output: Path,
    arguments: argparse.Namespace,
) -> None:
    """A table, as JSON and Markdown."""
    result = evaluate(
        [*BESIDE, *map(str, models)],
        open_dataset(folder),
        find_protocol(protocol),
        output,
        split=split,
        sources=sources,
        limit=arguments.limit,
        device=arguments.device,
        progress=lambda done, total, record: print(f"{done}/{total} {record.model} {record.track}", flush=True),
    )
    table = markdown(result.summary, f"{folder.name}, {split}, {len(result.facts['tracks'])} tracks")
    write_whole(output.with_suffix(".md"), table.encode())
    print(table)


def add_options(parser: argparse.ArgumentParser, work: Path) -> None:
    """What all tables can be told."""
    parser.add_argument("--work", type=Path, default=work, help="for models, caches and tables")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="replace a value of every recipe")
    parser.add_argument("--limit", type=int, help="measure only the first tracks")
    parser.add_argument("--device", default="auto")
