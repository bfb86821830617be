"""What the benchmarks share: clips with true stems, peers given by the user, results on disk."""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import soli
from soli.data.layouts import open_dataset
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import stream

STEMS = ("drums", "bass", "other", "vocals")
RESULTS = Path(__file__).parent / "results"

Estimator = Callable[[Tensor, int], Mapping[str, Tensor]]
"""Mixture `[C T]` and its rate in Hz -> name -> estimate `[C T]`."""


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


def from_separator(separator: Separator) -> Estimator:
    """A separator used as files are: streamed, resampled where needed."""

    def estimate(mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        pieces = list(stream(separator, [mixture], sample_rate, mixture.shape[-1]))
        stems = torch.cat([piece.stems for piece in pieces], dim=-1)
        return dict(zip(separator.sources, stems, strict=True))

    return estimate


def load_peer(spec: str) -> tuple[str, Estimator]:
    """A separator from the user's own script, `script.py:Class:argument`.

    `Class(argument)` must be callable with a mixture `[2 T]` (numpy, 44.1 kHz) and return `[S 2 T]`; the module names
    the sources in `SOURCES`.
    """
    script, _, rest = spec.partition(":")
    name, _, argument = rest.partition(":")
    module_spec = importlib.util.spec_from_file_location("peer", script)
    if module_spec is None or module_spec.loader is None or not Path(script).is_file() or not name:
        raise SoliError(f"--peer {spec!r}; allowed: script.py:Class:argument")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    call = getattr(module, name)(*([argument] if argument else []))

    def estimate(mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        if sample_rate != 44100 or len(mixture) != 2:
            raise SoliError(f"peer {name}: {len(mixture)} channels at {sample_rate} Hz; allowed: 2 at 44100 Hz")
        stems = torch.from_numpy(call(mixture.numpy().astype("float64")))
        return dict(zip(module.SOURCES, stems, strict=True))

    return name, estimate


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
