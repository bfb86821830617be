"""How well do models separate? Whole-clip SDR on MUSDB-style clips; writes benchmarks/results/separation.{json,md}.

SDR is 10 log10(|s|^2 / |s - e|^2) over the whole clip, all channels together; the number of a stem is the median over
clips, the number of a model the mean over stems. The mixture taken as every estimate and an oracle (ideal ratio masks
made from the true stems, STFT 4096/1024) stand beside the models. Models are compared clip by clip with a bootstrap.

    python benchmarks/separation.py default --data FOLDER
    python benchmarks/separation.py default --data FOLDER --peer htdemucs.py:HTDemucs:htdemucs.onnx
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from clips import (
    RESULTS,
    STEMS,
    Clip,
    Estimator,
    find_clips,
    folder_name,
    from_separator,
    load_clip,
    load_peer,
    machine,
    run,
    table,
    write_results,
)
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.evaluation.bootstrap import paired_bootstrap
from soli.evaluation.metrics import sdr_global
from soli.zoo import load

MIXTURE, ORACLE = "mixture as estimate", "ideal ratio mask (oracle)"
N_FFT, HOP = 4096, 1024
Scores = dict[str, dict[str, dict[str, float]]]  # row -> clip -> stem -> dB


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    estimators = {short(name): from_separator(load(name, arguments.device)) for name in arguments.models}
    estimators |= dict(load_peer(spec) for spec in arguments.peer)
    scores: Scores = {row: {} for row in (MIXTURE, *estimators, ORACLE)}
    for track in find_clips(arguments.data, arguments.limit):
        clip = load_clip(track)
        for row, measured in score_clip(clip, estimators).items():
            scores[row][clip.name] = measured
        print(f"{clip.name}: " + ", ".join(f"{row} {mean(scores[row][clip.name]):.2f}" for row in scores), flush=True)
    medians = {row: summarise(clips) for row, clips in scores.items()}
    comparisons = compare(scores, list(estimators), arguments.seed)
    data = {
        "measure": "whole-clip SDR in dB; median over clips, mean over stems",
        "data": f"{folder_name(arguments.data)}, {len(scores[MIXTURE])} clips",
        "machine": machine(),
        "median": medians,
        "comparisons": comparisons,
        "clips": scores,
    }
    write_results(arguments.output, data, markdown(data["data"], medians, comparisons))


def short(model: str) -> str:
    """The last part of a path; of `runs/this/model`, as training leaves it, `this`."""
    path = Path(model)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


def score_clip(clip: Clip, estimators: Mapping[str, Estimator]) -> dict[str, dict[str, float]]:
    """SDR of every stem for every row of the table."""
    rows: dict[str, Mapping[str, Tensor]] = {MIXTURE: dict.fromkeys(STEMS, clip.mixture)}
    rows |= {name: estimate(clip.mixture, clip.sample_rate) for name, estimate in estimators.items()}
    rows[ORACLE] = ratio_masks(clip)
    return {row: {stem: sdr(clip.stems[stem], estimates[stem]) for stem in STEMS} for row, estimates in rows.items()}


def sdr(reference: Tensor, estimate: Tensor) -> float:
    """One number; NaN where the true stem is silent."""
    return float(sdr_global(reference, estimate))


def ratio_masks(clip: Clip) -> dict[str, Tensor]:
    """The mixture masked with each true stem's share of the magnitudes, per channel."""
    magnitudes = {name: stft(stem, N_FFT, HOP).abs() for name, stem in clip.stems.items()}
    total = sum(magnitudes.values()) + 1e-10
    mixture = stft(clip.mixture, N_FFT, HOP)
    length = clip.mixture.shape[-1]
    return {name: istft(mixture * magnitude / total, N_FFT, HOP, length) for name, magnitude in magnitudes.items()}


def mean(values: Mapping[str, float]) -> float:
    """Mean over the stems that are not silent."""
    return float(np.nanmean(list(values.values())))


def summarise(clips: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Median over clips of each stem, and the mean of these."""
    medians = {stem: float(np.nanmedian([scores[stem] for scores in clips.values()])) for stem in STEMS}
    return medians | {"mean": mean(medians)}


def compare(scores: Scores, models: list[str], seed: int) -> list[dict[str, object]]:
    """Every pair of models, stem by stem and over the clips' means."""
    found = []
    for first, second in itertools.combinations(models, 2):
        for stem in (*STEMS, "mean"):
            values = [
                [mean(clip) if stem == "mean" else clip[stem] for clip in scores[model].values()]
                for model in (first, second)
            ]
            result = paired_bootstrap(values[0], values[1], seed=seed)
            found.append({"first": first, "second": second, "stem": stem, **vars(result)})
    return found


def markdown(data: str, medians: Mapping[str, Mapping[str, float]], comparisons: list[dict[str, object]]) -> str:
    """The tables."""
    text = f"# Separation\n\nWhole-clip SDR in dB, median over clips; {data}.\n\n"
    rows = [(row, *(values[stem] for stem in STEMS), values["mean"]) for row, values in medians.items()]
    text += table(("", *STEMS, "mean of stems"), rows)
    if comparisons:
        text += "\nMedian difference per clip, with a 95 % interval (paired bootstrap over clips):\n\n"
        cells = [
            (f"{c['first']} - {c['second']}", c["stem"], c["difference"], f"{c['low']:.2f} to {c['high']:.2f}")
            for c in comparisons
        ]
        text += table(("", "stem", "difference", "interval"), cells)
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names or folders for soli.load")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--peer", action="append", default=[], metavar="SCRIPT:CLASS:ARGUMENT")
    parser.add_argument("--limit", type=int, help="only the first clips")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", type=Path, default=RESULTS / "separation.json")
    run(main, parser)
