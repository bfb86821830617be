"""Does an example find its like? SI-SDR improvement of a query; writes benchmarks/results/query.{json,md}.

For every clip the solo drums, and then the solo vocals, of another song are given as the example; what is found is
measured against the clip's own drums or vocals. The song is drawn by seed among those whose stem is not silent and
that are not by the same artist. Both modes of querying get the same pairs.

    python benchmarks/query.py default --data FOLDER --examples OTHER_FOLDER
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from clips import RESULTS, Clip, find_clips, folder_name, load_clip, machine, run, table, write_results
from torch import Tensor

from soli.errors import SoliError
from soli.evaluation.metrics import si_sdr_improvement
from soli.separator import Queryable
from soli.zoo import load

QUERIED = ("drums", "vocals")
MODES = ("likelihood", "posterior")
ACTIVE_DBFS = -50.0


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    separator = load(arguments.model, arguments.device)
    if not isinstance(separator, Queryable):
        raise SoliError(f"{arguments.model} cannot be queried")
    clips = [load_clip(track) for track in find_clips(arguments.data, arguments.limit)]
    examples = [load_clip(track) for track in find_clips(arguments.examples)]
    pairs = pair(clips, examples, arguments.seed)
    gains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    records = []
    for clip, stem, example in pairs:
        record: dict[str, object] = {"clip": clip.name, "stem": stem, "example": example.name}
        for mode in MODES:
            found = separator.query(clip.mixture, example.stems[stem], clip.sample_rate, mode=mode)
            gain = float(si_sdr_improvement(clip.stems[stem], found["match"], clip.mixture))
            gains[mode][stem].append(gain)
            record[mode] = gain
        records.append(record)
        print(f"{clip.name}, {stem} by {example.name}: {', '.join(f'{m} {record[m]:.2f}' for m in MODES)}", flush=True)
    medians = {mode: {stem: median(gains[mode][stem]) for stem in QUERIED} for mode in MODES}
    for mode in MODES:
        medians[mode]["both"] = median([gain for stem in QUERIED for gain in gains[mode][stem]])
    source = f"{folder_name(arguments.data)}, examples from {folder_name(arguments.examples)}, seed {arguments.seed}"
    data = {
        "measure": "SI-SDR improvement of the queried stem in dB, median over clips",
        "data": source,
        "model": Path(arguments.model).name,
        "machine": machine(),
        "median": medians,
        "pairs": records,
    }
    rows = [(mode, *(values[stem] for stem in (*QUERIED, "both"))) for mode, values in medians.items()]
    text = f"# Query by example\n\n{data['measure']}; {source}; {len(records)} queries.\n\n"
    write_results(arguments.output, data, text + table(("mode", *QUERIED, "both"), rows))


def pair(clips: list[Clip], examples: list[Clip], seed: int) -> list[tuple[Clip, str, Clip]]:
    """For every clip and queried stem that is not silent, an example by another artist; the same for a seed."""
    dice = random.Random(seed)
    pairs = []
    for clip in clips:
        for stem in QUERIED:
            others = [e for e in examples if artist(e) != artist(clip) and active(e.stems[stem])]
            if not others:
                raise SoliError(f"no example of {stem} by another artist than that of {clip.name!r}")
            example = dice.choice(others)
            if active(clip.stems[stem]):
                pairs.append((clip, stem, example))
    return pairs


def artist(clip: Clip) -> str:
    """MUSDB18 names are `artist - title`."""
    return clip.name.partition(" - ")[0].casefold()


def active(signal: Tensor) -> bool:
    """Whether there is something to hear."""
    return float(10 * torch.log10(signal.double().square().mean())) > ACTIVE_DBFS


def median(values: list[float]) -> float:
    """NaN when there are no values."""
    return float(np.median(values)) if values else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a name or folder for soli.load")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout to search")
    parser.add_argument("--examples", type=Path, required=True, help="folder of any layout to take examples from")
    parser.add_argument("--limit", type=int, help="only the first clips")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the pairing")
    parser.add_argument("--output", type=Path, default=RESULTS / "query.json")
    run(main, parser)
