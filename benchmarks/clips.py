"""What the benchmarks share: clips with true stems, results on disk."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import soli
from soli.baselines.by_name import find_baseline, load_baseline
from soli.data.layouts import open_dataset
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.evaluation.examples import Example
from soli.evaluation.journal import Record
from soli.evaluation.protocols import Protocol
from soli.evaluation.wrapped import find_wrapped, load_wrapped
from soli.separator import Separator
from soli.zoo import load

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Clip:
    """A mixture and its true stems, equally long, `[C T]`."""

    name: str
    mixture: Tensor
    stems: dict[str, Tensor]
    sample_rate: int


def find_clips(folder: Path, limit: int | None = None) -> list[Track]:
    """The tracks of a dataset in any layout, in order."""
    return list(open_dataset(folder).tracks[:limit])


def folder_name(folder: Path) -> str:
    """The last two parts of a path, which say what the data are without saying where."""
    return "/".join(folder.resolve().parts[-2:])


def load_clip(track: Track, seconds: float | None = None) -> Clip:
    """Decode a track, or its first seconds; stems are summed by class, the mixture is its file if any."""
    length = track.n_samples if seconds is None else min(round(seconds * track.sample_rate), track.n_samples)
    labels = dict.fromkeys(stem.labels[0] for stem in track.stems.values() if stem.labels)
    stems = {label: torch.from_numpy(track.submix(label, n_samples=length)) for label in labels}
    return Clip(track.name, torch.from_numpy(track.mixture(n_samples=length)), stems, track.sample_rate)


def record_of(name: str, example: Example, estimates: Tensor, seconds: float, protocol: Protocol) -> Record:
    """Measure estimates `[S C T]`, in the order of the references."""
    references = torch.stack(list(example.references.values()))
    found = protocol.measure(references, estimates, example.mixture, example.sample_rate)
    return Record(
        model=name,
        track=example.track,
        audio_seconds=example.mixture.shape[-1] / example.sample_rate,
        seconds=seconds,
        metrics={
            metric: dict(zip(example.references, values.tolist(), strict=True)) for metric, values in found.items()
        },
    )


def load_any(name: str) -> Separator:
    """A model by name or folder, used in any way, or a baseline, as `soli evaluate` knows them."""
    if find_baseline(name):
        return load_baseline(name)
    wrapped = find_wrapped(name)
    return load_wrapped(wrapped) if wrapped else load(name)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "soli": soli.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers get two digits."""
    lines = [columns, ["---"] * len(columns)]
    lines += [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_results(output: Path, data: Mapping[str, object], markdown: str) -> None:
    """Write `output`, a JSON file, and the same as Markdown beside it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(markdown, encoding="utf-8")
    print(markdown)
    print(f"written: {output} and {output.with_suffix('.md')}")


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Run a benchmark; errors of the user's are one line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    try:
        main(parser.parse_args())
    except SoliError as error:
        sys.exit(f"{parser.prog}: {error}")
