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
from clips import RESULTS, find_clips, folder_name, load_clip, machine, run, table, write_results
from sklearn.metrics import roc_auc_score
from torch import Tensor

from soli.audio import resample
from soli.errors import SoliError
from soli.files import model_name
from soli.systems.flowprior.separator import FlowPrior
from soli.zoo import load, model_info

PRESENT_DB, ABSENT_DB = -25.0, -50.0
EVIDENCE = ("probability", "likelihood", "share")


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, arguments.device)
    if not isinstance(model, FlowPrior):
        raise SoliError(f"{arguments.model} has no priors to ask")
    tracks = find_clips(arguments.data, arguments.limit)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {source: [] for source in model.sources}
    for track in tracks:
        clip = load_clip(track)
        mixture = resample(clip.mixture.mean(dim=0, keepdim=True), clip.sample_rate, model.sample_rate)
        evidence = torch.stack(model.presence(mixture.to(arguments.device)))[:, 0].cpu().numpy()  # [3 S W]
        whole = energies(mixture[0], model)
        for index, source in enumerate(model.sources):
            stem = clip.stems.get(source, torch.zeros_like(clip.mixture)).mean(dim=0, keepdim=True)
            own = energies(resample(stem, clip.sample_rate, model.sample_rate)[0], model)
            share = 10 * np.log10((own + 1e-12) / (whole + 1e-9))[: evidence.shape[-1]]
            sure = (share > PRESENT_DB) | (share < ABSENT_DB)
            found[source].append((evidence[:, index, sure], share[sure] > PRESENT_DB))
        print(track.name, flush=True)
    rows = [row(source, pieces) for source, pieces in found.items()]
    names = ("instrument", "present", "absent", *EVIDENCE)
    data = {
        "measure": "area under the ROC curve over windows",
        "data": f"{folder_name(arguments.data)}, {len(tracks)} songs",
        "model": {"name": model_name(arguments.model), "sha256": model_info(arguments.model).sha256},
        "machine": machine(),
        "instruments": [dict(zip(names, cells, strict=True)) for cells in rows],
    }
    about = f"`{data['model']['name']}` on {data['data']}; area under the ROC curve over windows of 2 s."
    write_results(arguments.output, data, f"# Presence\n\n{about}\n\n{table(names, rows)}")


def energies(waveform: Tensor, model: FlowPrior) -> np.ndarray:
    """Of the windows of a mono waveform `[T]`."""
    window = model.window_samples
    return waveform.unfold(0, window, window // 2).square().sum(dim=-1).double().numpy()


def row(source: str, pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[object, ...]:
    """Windows with and without the instrument, and the area for each evidence."""
    evidence = np.concatenate([part for part, _ in pieces], axis=-1)
    present = np.concatenate([truth for _, truth in pieces])
    if present.all() or not present.any():
        return source, int(present.sum()), int((~present).sum()), *[float("nan")] * len(EVIDENCE)
    areas = [float(roc_auc_score(present, values)) for values in evidence]
    return source, int(present.sum()), int((~present).sum()), *areas


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="such as flowprior:drums,bass")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "presence.json")
    run(main, parser)
