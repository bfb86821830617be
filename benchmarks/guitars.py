"""Real guitars against the rest of their songs, without a name for either: benchmarks/results/guitars.{json,md}.

The songs are those of Debian's fretsonfire-songs-muldjord and fretsonfire-songs-sectoid: a file for the guitar and
others for the rest. The estimate of the guitar is the source found that suits it best; with a front end, drums, bass
and vocals are taken away first.

    python benchmarks/guitars.py runs/latentcluster-modern/model --front-end none default
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from clips import RESULTS, machine, run, table, write_results
from torch import Tensor

from soli.audio import read, resample
from soli.discovery import load_front_end, split_off
from soli.errors import SoliError
from soli.evaluation.metrics import si_sdr
from soli.files import model_name
from soli.separator import Discoverer
from soli.zoo import load, model_info

SONGS = Path("/usr/share/games/fretsonfire/data/songs")


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    guitars = sorted(arguments.data.glob("**/guitar.ogg"))[: arguments.limit]
    if not guitars:
        raise SoliError(f"{arguments.data}: no guitar.ogg in this folder")
    ends = {name: load_front_end(name) for name in arguments.front_end}
    models = {model_name(path): load(path) for path in arguments.models}
    rows: dict[str, dict[str, float]] = {f"{name}, {end}": {} for name in models for end in ends}
    for path in guitars:
        guitar, mixture, rate = excerpt(path, arguments.seconds)
        for end, front in ends.items():
            split = split_off(front, mixture, rate)
            for name, model in models.items():
                if not isinstance(model, Discoverer):
                    raise SoliError(f"{name} cannot discover sources")
                found = model.discover(resample(split.inside, rate, model.sample_rate), model.sample_rate).stems.cpu()
                stems = [fitted(resample(stem, model.sample_rate, rate), mixture) for stem in found]
                best = max(float(si_sdr(guitar, stem)) for stem in stems)
                rows[f"{name}, {end}"][path.parent.name] = best - float(si_sdr(guitar, mixture))
        print(path.parent.name, flush=True)
    data = {
        "measure": "SI-SDR improvement of the guitar in dB",
        "data": f"{len(guitars)} songs, {arguments.seconds:g} s from the middle of each",
        "models": {name: model_info(path).sha256 for name, path in zip(models, arguments.models, strict=True)},
        "machine": machine(),
        "improvements": rows,
    }
    write_results(arguments.output, data, markdown(data))


def excerpt(path: Path, seconds: float) -> tuple[Tensor, Tensor, int]:
    """Guitar and mixture, mono `[1 T]`, from the middle of a song."""
    guitar, rate = read(path)
    parts = [guitar.mean(dim=0, keepdim=True)]
    for other in sorted(path.parent.glob("*.ogg")):
        if other != path and other.stem not in ("preview",):
            audio, own_rate = read(other)
            parts.append(resample(audio.mean(dim=0, keepdim=True), own_rate, rate))
    length = min(part.shape[-1] for part in parts)
    start = max((length - round(seconds * rate)) // 2, 0)
    parts = [part[:, start : min(start + round(seconds * rate), length)] for part in parts]
    return parts[0], torch.stack(parts).sum(dim=0), rate


def fitted(stem: Tensor, mixture: Tensor) -> Tensor:
    return torch.nn.functional.pad(stem, (0, mixture.shape[-1] - stem.shape[-1]))


def markdown(data: Mapping[str, Any]) -> str:
    rows = []
    for name, values in data["improvements"].items():
        numbers = torch.tensor(list(values.values()))
        rows.append(
            [name, float(numbers.quantile(0.5)), float(numbers.mean()), float(numbers.min()), float(numbers.max())]
        )
    about = f"{data['measure']}; {data['data']}."
    return f"# Guitars\n\n{about}\n\n" + table(("model, front end", "median", "mean", "worst", "best"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="MODEL", nargs="+", help="names or folders of models that discover")
    parser.add_argument("--data", type=Path, default=SONGS, help="folder with a folder for each song")
    parser.add_argument("--front-end", nargs="+", default=["none"], help="as for soli discover")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each song")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "guitars.json")
    run(main, parser)
