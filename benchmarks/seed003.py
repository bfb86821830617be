"""Both tables of Zhu et al. 2022 from nothing, for whoever owns the data: trains what is not there yet, then measures.

MUSDB18 is a folder with `train` and `test`; Slakh2100 one with `train`, `validation` and `test`. Each needs a GPU and
days with the recipes as they are; a run that was stopped goes on where it was. On Slakh2100 bass and drums have the
priors of MUSDB18, and guitar and piano are plugged in, as in the published row. Writes WORK/{musdb18,slakh}.{json,md}.

    python benchmarks/seed003.py --musdb18 DIR --slakh DIR --work runs/seed003
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from clips import run

from soli.data.layouts import open_dataset
from soli.disk import write_whole
from soli.evaluation.protocols import find_protocol
from soli.evaluation.run import evaluate
from soli.evaluation.tables import markdown
from soli.training.prior import split_prior
from soli.training.run import run_recipe
from soli.zoo import CONFIG_FILE

RECIPES = Path(__file__).parents[1] / "recipes"
BESIDE = ("mixture", "oracle:ratio")
STEMS = ("vocals", "bass", "drums", "other")
INSTRUMENTS = ("bass", "drums", "guitar", "piano")
PLUGGED_IN = 'sources=["guitar", "piano"]'


class Row(NamedTuple):
    """A model to train: its name, its recipe, and what differs from it."""

    name: str
    recipe: str
    changes: tuple[str, ...] = ()


MUSDB18 = (
    Row("instglow", "flowprior/instglow_musdb18.toml"),
    Row("musicglow", "flowprior/instglow_musdb18.toml", ("model.shared=true",)),
    Row("gan-prior", "gan_prior/musdb18.toml"),
    Row("wave-u-net", "wave_unet/paper.toml"),
    Row("open-unmix", "open_unmix/paper.toml"),
    Row("conv-tasnet", "conv_tasnet/paper.toml"),
)
SLAKH = (
    Row("musicglow-slakh", "flowprior/musicglow_slakh.toml"),
    Row("gan-prior-slakh", "gan_prior/slakh.toml"),
)
GUITAR_AND_PIANO = Row(
    "instglow-slakh", "flowprior/instglow_slakh.toml", (f"model.{PLUGGED_IN}", f"mixing.{PLUGGED_IN}")
)


def main(arguments: argparse.Namespace) -> None:
    work, changes = arguments.work, arguments.set or []
    musdb, slakh = arguments.musdb18, arguments.slakh
    models = [trained(row, work, data("musdb", "musdb18", musdb / "train"), changes) for row in MUSDB18]
    measured(models, musdb, "official:test", "seed003", STEMS, work / "musdb18.json", arguments)
    if slakh is None:
        return
    whole = data("slakh", "slakh", slakh)
    later = trained(GUITAR_AND_PIANO, work, whole, changes)
    priors = work / "priors"
    folders = {path.name: path for path in (*split_prior(models[0], priors), *split_prior(later, priors))}
    plugged = "flowprior:" + ",".join(str(folders[name]) for name in INSTRUMENTS)
    models = [plugged, *(trained(row, work, whole, changes) for row in SLAKH)]
    measured(models, slakh, arguments.slakh_split, "seed003-submix", INSTRUMENTS, work / "slakh.json", arguments)


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--musdb18", type=Path, required=True, metavar="DIR")
    parser.add_argument("--slakh", type=Path, metavar="DIR")
    parser.add_argument("--slakh-split", default="orig:test", metavar="SCHEME:SPLIT")
    parser.add_argument("--work", type=Path, default=Path("runs/seed003"), help="for models, caches and tables")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="replace a value of every recipe")
    parser.add_argument("--limit", type=int, help="measure only the first tracks")
    parser.add_argument("--device", default="auto")
    run(main, parser)
