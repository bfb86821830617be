"""Which instruments sound, and when: how well do priors tell? Writes benchmarks/results/presence.{json,md}.

Windows of two seconds from whole songs. An instrument is there where its stem holds at least a 300th of the window's
energy (-25 dB), absent where it holds less than a 100,000th (-50 dB); windows in between are left out. Beside the
calibrated probability: its two parts alone, and for chance 0.5.

    python benchmarks/presence.py MODEL --data FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from clips import RESULTS, find_clips, folder_name, machine, run, table, write_results
from sklearn.metrics import roc_auc_score
from torch import Tensor

from soli.audio import resample
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.files import model_name
from soli.presence import judge
from soli.systems.flowprior.presence import ABSENT_DB, PRESENT_DB
from soli.systems.flowprior.separator import FlowPrior
from soli.zoo import load, model_info

EVIDENCE = {
    "probability": 0,
    "likelihood": 2,
    "share": 3,
}  # rows of what `judge` says; deviations rank as likelihoods do


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, arguments.device)
    if not isinstance(model, FlowPrior):
        raise SoliError(f"{arguments.model} has no priors to ask")
    tracks = find_clips(arguments.data, arguments.limit)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {source: [] for source in model.sources}
    for track in tracks:
        mixture = mono(track.mixture(), track, model)
        evidence = torch.cat(list(judge(model, [mixture])), dim=-1)[list(EVIDENCE.values())].cpu().numpy()  # [3 S W]
        whole = energies(mixture, model)
        for index, source in enumerate(model.sources):
            stem = track.submix(source) if source in track.labels else np.zeros((1, track.n_samples), np.float32)
            share = 10 * np.log10((energies(mono(stem, track, model), model) + 1e-12) / (whole + 1e-9))
            sure = (share > PRESENT_DB) | (share < ABSENT_DB)
            judged = evidence[:, index, : len(share)]  # the last window may reach beyond the end
            found[source].append((judged[:, sure], share[sure] > PRESENT_DB))
        print(track.name, flush=True)
    rows = [row(source, pieces) for source, pieces in found.items()]
    names = ("instrument", "present", "absent", *EVIDENCE, "interval of the probability's")
    data = {
        "measure": "area under the ROC curve over windows",
        "data": f"{folder_name(arguments.data)}, {len(tracks)} songs",
        "model": {"name": model_name(arguments.model), "sha256": model_info(arguments.model).sha256},
        "machine": machine(),
        "instruments": [dict(zip(names, cells, strict=True)) for cells in rows],
    }
    about = f"`{data['model']['name']}` on {data['data']}; area under the ROC curve over windows of 2 s."
    write_results(arguments.output, data, f"# Presence\n\n{about}\n\n{table(names, rows)}")


def mono(waveform: np.ndarray, track: Track, model: FlowPrior) -> Tensor:
    """`[C T]` -> `[T]` at the model's rate."""
    mixed = torch.from_numpy(waveform).mean(dim=0, keepdim=True)
    return resample(mixed, track.sample_rate, model.sample_rate)[0]


def energies(waveform: Tensor, model: FlowPrior) -> np.ndarray:
    """Of the windows of a mono waveform `[T]`."""
    window = model.window_samples
    return waveform.unfold(0, window, window // 2).square().sum(dim=-1).double().numpy()


def row(source: str, pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[object, ...]:
    """Windows with and without the instrument, and the area for each evidence."""
    evidence = np.concatenate([part for part, _ in pieces], axis=-1)
    present = np.concatenate([truth for _, truth in pieces])
    if present.all() or not present.any():
        return source, int(present.sum()), int((~present).sum()), *[float("nan")] * len(EVIDENCE), "no interval"
    areas = [float(roc_auc_score(present, values)) for values in evidence]
    return source, int(present.sum()), int((~present).sum()), *areas, interval(pieces)


def interval(pieces: list[tuple[np.ndarray, np.ndarray]], n_resamples: int = 1000) -> str:
    """95 % bootstrap interval, over songs, of the area for the probability."""
    random, areas = np.random.default_rng(0), []
    for _ in range(n_resamples):
        drawn = [pieces[index] for index in random.integers(len(pieces), size=len(pieces))]
        present = np.concatenate([truth for _, truth in drawn])
        if present.any() and not present.all():
            areas.append(roc_auc_score(present, np.concatenate([part[0] for part, _ in drawn])))
    low, high = np.quantile(areas, [0.025, 0.975])
    return f"{low:.2f} to {high:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="such as flowprior:drums,bass")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "presence.json")
    run(main, parser)
