"""How fast is it, file to files? Writes benchmarks/results/speed.{json,md}.

A song (generated, unless one is given: three minutes, stereo, 44.1 kHz, 16 bit) is separated into wav files, on the
CPU, in single precision. Models take turns, so that whatever else the machine does meets all of them. Loading a model
is not part of the time; the time to import soli is measured on its own.

    python benchmarks/speed.py default htdemucs-onnx:htdemucs.onnx --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from clips import RESULTS, load_any, machine, run, table, write_results

from soli.audio import AudioReader, AudioWriter
from soli.evaluation.selection import choose_names
from soli.files import separate_file

RATE = 44100
IMPORT = "import time; t = time.perf_counter(); import soli; print(time.perf_counter() - t)"


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    jobs = {label: load_any(name) for label, name in choose_names(arguments.models).items()}
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as folder:
        song = arguments.song or generate(Path(folder) / "song.wav", arguments.seconds)
        with AudioReader(song) as reader:
            length = sum(block.shape[-1] for block in reader.blocks()) / reader.sample_rate
            channels = {1: "mono", 2: "stereo"}.get(reader.n_channels, f"{reader.n_channels} channels")
        for _ in range(arguments.rounds):
            for name, separator in jobs.items():
                began = time.perf_counter()
                separate_file(song, Path(folder) / "stems", model=separator)
                seconds[name].append(time.perf_counter() - began)
                print(f"{name}: {seconds[name][-1]:.2f} s", flush=True)
    imports = import_seconds(arguments.rounds)
    factors = {name: [spent / length for spent in times] for name, times in seconds.items()}
    data = {
        "measure": f"seconds of work per second of audio, file to files, {length:.0f} s {channels}, fp32",
        "machine": machine() | {"load_before": os.getloadavg()[1]},
        "real_time_factors": factors,
        "median": {name: statistics.median(values) for name, values in factors.items()},
        "import_seconds": imports,
    }
    rows = [
        (
            name,
            *(f"{f(factors[name]):.4f}" for f in (statistics.median, min)),
            f"{statistics.median(seconds[name]):.1f}",
        )
        for name in jobs
    ]
    text = f"# Speed\n\nReal-time factor: {data['measure']}, {arguments.threads} threads; runs take turns.\n\n"
    text += table(("", "median", "best", "median seconds"), rows)
    text += f"\n`import soli`: median {statistics.median(imports):.3f} s, best {min(imports):.3f} s.\n"
    write_results(arguments.output, data, text)


def generate(path: Path, seconds: float) -> Path:
    """A song that is never silent: noise whose level moves, over a slow bass."""
    generator = torch.Generator().manual_seed(0)
    with AudioWriter(path, RATE, 2, "PCM_16") as writer:
        for second in range(round(seconds)):
            clock = torch.arange(RATE) / RATE + second
            noise = 0.1 * torch.randn(2, RATE, generator=generator) * (1 - clock.frac()) ** 4
            writer.write(noise + 0.2 * torch.sin(2 * torch.pi * 55 * clock))
    return path


def import_seconds(rounds: int) -> list[float]:
    """Time of `import soli` in fresh processes, the first one (cold caches) left out."""
    command = [sys.executable, "-c", IMPORT]
    times = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(rounds + 1)
    ]
    return times[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names or folders of models, or baselines")
    parser.add_argument("--song", type=Path, help="instead of the generated one")
    parser.add_argument("--seconds", type=float, default=180, help="length of the generated song")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "speed.json")
    run(main, parser)
