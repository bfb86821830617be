"""The two tables of seed 001 on held-out "others": benchmarks/results/latentcluster.{json,md}.

First what the autoencoders give back, then the clusters of each algorithm of the paper preset, and of the other
presets, with as many clusters as they find; last how much of the latent space is used. All definitions are those of
`soli.evaluation.metrics.reconstruction` and `clusters`.

    python benchmarks/latentcluster.py runs/latentcluster-paper/model runs/latentcluster-paper-collapse/model \\
        runs/latentcluster-modern/model --data musdb18_7s/test
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from clips import RESULTS, folder_name, machine, run, table, write_results
from others import ALGORITHMS, instrument
from torch import Tensor

from soli.audio import resample
from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.metrics import Reconstruction, assignment_entropy, cluster_table, reconstruction
from soli.evaluation.selection import choose_tracks
from soli.files import model_name
from soli.systems.latentcluster.discoverer import LatentDiscoverer
from soli.systems.latentcluster.paper import LatentClusterPaper
from soli.systems.latentcluster.separator import LatentCluster
from soli.systems.latentcluster.variational import Posterior, collapse
from soli.zoo import load, model_info

SHOWN = 3  # clusters with columns of their own


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    models = {model_name(path): load(path, arguments.device) for path in arguments.models}
    clips = list(others(arguments))
    data: dict[str, Any] = {
        "data": f"{folder_name(arguments.data)}, {len(clips)} clips of at most {arguments.seconds:g} s",
        "models": {name: model_info(path).sha256 for name, path in zip(models, arguments.models, strict=True)},
        "machine": machine() | {"device": arguments.device},
        "reconstruction": {},
        "clusters": {},
        "collapse": {},
    }
    for name, model in models.items():
        if not isinstance(model, LatentDiscoverer):
            raise SoliError(f"{name} is not a latentcluster")
        heard = [resample(clip, rate, model.sample_rate) for clip, rate in clips]
        if isinstance(model, LatentClusterPaper | LatentCluster):
            data["reconstruction"][name] = averaged([reconstruction(x[0], model.reconstruct(x[0])) for x in heard])
        for label, variant in variants(name, model):
            data["clusters"][label] = clusters(variant, heard, arguments.clusters)
        if isinstance(model, LatentClusterPaper):
            data["collapse"][name] = used(model, heard)
        print(name, flush=True)
    write_results(arguments.output, data, markdown(data))


def others(arguments: argparse.Namespace) -> Iterator[tuple[Tensor, int]]:
    """Mono sums of all stems beside vocals, drums and bass, with their rates; silent ones are passed over."""
    for track in choose_tracks(open_dataset(arguments.data), arguments.split, arguments.limit):
        names = [name for name, stem in track.stems.items() if instrument(name, stem.labels)]
        length = min(round(arguments.seconds * track.sample_rate), track.n_samples)
        start = (track.n_samples - length) // 2
        read = [torch.from_numpy(track.read(name, start=start, n_samples=length)) for name in names]
        audio = torch.stack([stem.mean(dim=0, keepdim=True) for stem in read]).sum(dim=0) if read else torch.zeros(1, 1)
        if float(audio.abs().max()) > 1e-3:
            yield audio, track.sample_rate


def variants(name: str, model: LatentDiscoverer) -> Iterator[tuple[str, LatentDiscoverer]]:
    """The paper preset once for each algorithm."""
    if not isinstance(model, LatentClusterPaper):
        yield name, model
        return
    for algorithm in ALGORITHMS:
        model.config = replace(model.config, algorithm=algorithm)
        yield f"{name}, {algorithm}", model


def averaged(values: Sequence[Reconstruction]) -> dict[str, float]:
    """Mean over clips of every measure."""
    return {
        field: float(torch.stack([getattr(value, field) for value in values]).nanmean())
        for field in Reconstruction._fields
    }


def clusters(model: LatentDiscoverer, clips: Sequence[Tensor], number: int | None) -> dict[str, Any]:
    """The columns of the second table, mean over clips."""
    tables, counts, entropies = [], [], []
    for clip in clips:
        found = model.discover(clip, model.sample_rate, n_sources=number)
        tables.append(cluster_table(clip, found.stems.cpu()))
        counts.append(len(found))
        if isinstance(model, LatentClusterPaper):  # others have points, not frames
            entropies.append(assignment_entropy(found.info["labels"]))
    columns: dict[str, Any] = {
        "number": sum(counts) / len(counts),
        "mse": mean([table.mse for table in tables]),
        "assignment_entropy": mean(entropies) if entropies else math.nan,
        "sum_of_ratios": mean([table.energy_sum for table in tables]),
    }
    for index in range(SHOWN):
        own = [table for table in tables if table.energy_percent.shape[-1] > index]
        for field in ("entropy_bits", "sparsity", "energy_percent"):
            values = [getattr(table, field)[index] for table in own]
            columns[f"c{index + 1}_{field}"] = mean(values) if values else math.nan
    return columns


def used(model: LatentClusterPaper, clips: Sequence[Tensor]) -> dict[str, Any]:
    """How many latent dimensions are in use over all clips."""
    with torch.inference_mode():
        found = [model.encode(clip) for clip in clips]
    latents = Posterior(*(torch.cat([part[0].mT for part in parts]) for parts in zip(*found, strict=True)))
    result = collapse(latents)
    return {
        "active": result.n_active,
        "dimensions": len(result.kl),
        "kl": [round(value, 5) for value in result.kl.tolist()],
        "variance": [round(value, 6) for value in result.variance.tolist()],
    }


def mean(values: Sequence[Tensor]) -> float:
    return float(torch.stack([value.double() for value in values]).nanmean())


def markdown(data: Mapping[str, Any]) -> str:
    first = [[name, *(f"{value:.4g}" for value in row.values())] for name, row in data["reconstruction"].items()]
    second = [[name, *(f"{value:.4g}" for value in row.values())] for name, row in data["clusters"].items()]
    third = []
    for name, row in data["collapse"].items():
        nats = torch.tensor(row["kl"])
        third.append([name, f"{row['active']} of {row['dimensions']}", f"{nats.median():.3g}", f"{nats.max():.3g}"])
    columns = list(next(iter(data["clusters"].values())))
    return (
        f'# Autoencoders and clusters of "others"\n\n{data["data"]}; means over clips. The modern preset paints its'
        " magnitudes with the mixture's phases.\n\n"
        + table(("", "MSE", "SNR (dB)", "PSNR (dB)", "cosine", "spectral MSE"), first)
        + "\n## Clusters\n\nMSE of the mixture and the sum of its clusters; entropy in bits and Hoyer's sparsity of"
        " mean spectra; energies in percent of the mixture's.\n\n"
        + table(("", *columns), second)
        + "\n## Use of the latent space\n\nA dimension is active when its mean varies by more than 0.01; KL of a"
        " dimension in nats per frame.\n\n" + table(("", "active", "median KL", "largest KL"), third)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="MODEL", nargs="+", help="folders of latentcluster models")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each song, from its middle")
    parser.add_argument("--clusters", type=int, help="how many; by default as many as are found")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "latentcluster.json")
    run(main, parser)
