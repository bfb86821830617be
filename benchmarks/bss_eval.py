"""BSS Eval of soli against museval: do they agree, and how much faster is it? Writes results/bss_eval.{json,md}.

References are the true stems of a dataset. Estimates are made from them, the same every time: 0.3 of the
others leaks into each stem, and the mixture is masked with the leaky stems' shares of the power (STFT 4096/1024).
Both programs decompose the same arrays in the same process, in turns.

All signals are rounded to 16 bits, as in the files that are usually scored. Stems as an AAC decoder leaves them, in
floating point, have next to nothing above 16 kHz; then the filters hang on the last digits, and museval does not agree
with itself when everything is made 3.7 times louder. `--as-decoded --rescaled` shows that.

    pip install --no-deps museval==0.4.1 scipy
    python benchmarks/bss_eval.py --data FOLDER
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from clips import RESULTS, Clip, find_clips, folder_name, load_clip, machine, run, table, write_results
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.errors import SoliError
from soli.evaluation.metrics import bss_eval

MEASURES = ("SDR", "ISR", "SIR", "SAR")
LEAKAGE, N_FFT, HOP, FACTOR = 0.3, 4096, 1024, 3.7
Scorer = Callable[[Tensor, Tensor, int], Tensor]  # references, estimates [S C T], window -> [4 S frames]


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    scorers: dict[str, Scorer] = {"soli": with_soli, "museval": with_museval(load_museval())}
    tracks = find_clips(arguments.data, arguments.limit)
    warm = torch.randn(1, 1, 5000)
    for scorer in scorers.values():  # libraries are loaded before the clock runs
        scorer(warm, warm + 0.1 * warm.flip(-1), 5000)
    clips = [score(load_clip(track, arguments.longest), scorers, arguments) for track in tracks]
    seconds = {name: [clip["seconds"][name] for clip in clips] for name in scorers}
    cpu = {name: [clip["cpu_seconds"][name] for clip in clips] for name in scorers}
    data = {
        "measure": f"largest difference in dB over clips, stems and frames of {arguments.seconds:g} s",
        "data": f"{folder_name(arguments.data)}, {len(clips)} clips, "
        + ("as decoded" if arguments.as_decoded else "rounded to 16 bits"),
        "machine": machine() | {"load": os.getloadavg()[1]},
        "speed_ratio": sum(seconds["museval"]) / sum(seconds["soli"]),
        "speed_ratio_cpu_time": sum(cpu["museval"]) / sum(cpu["soli"]),
        "median_seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "clips": clips,
    }
    write_results(arguments.output, data, markdown(data, clips, arguments.rescaled))


def score(clip: Clip, scorers: dict[str, Scorer], arguments: argparse.Namespace) -> dict[str, object]:
    """Both programs on one clip."""
    references = torch.stack(list(clip.stems.values())).double()
    estimates = degrade(references)
    if not arguments.as_decoded:
        references, estimates = (torch.round(x * 2**15) / 2**15 for x in (references, estimates))
    sounding = (references != 0).any(-1).any(-1)  # museval refuses a stem that is silent throughout
    references, estimates = references[sounding], estimates[sounding]
    window = round(arguments.seconds * clip.sample_rate)
    values, seconds, cpu = {}, {}, {}
    for name, scorer in scorers.items():
        wall, process = time.perf_counter(), time.process_time()
        values[name] = scorer(references, estimates, window)
        seconds[name], cpu[name] = time.perf_counter() - wall, time.process_time() - process
    found: dict[str, object] = {
        "name": clip.name,
        "stems": len(references),
        "frames": values["soli"].shape[-1],
        "silent_frames": int(values["soli"][0, 0].isnan().sum()),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "difference": compare(values["soli"], values["museval"]),
        "median_museval": {m: float(v.nanmedian()) for m, v in zip(MEASURES, values["museval"], strict=True)},
    }
    if arguments.rescaled:
        again = scorers["museval"](FACTOR * references, FACTOR * estimates, window)
        found["museval_to_itself"] = compare(again, values["museval"])
    print(f"{clip.name}: {found['difference']}, {seconds['museval'] / seconds['soli']:.1f} times", flush=True)
    return found


def compare(first: Tensor, second: Tensor) -> dict[str, float]:
    """Largest difference of each measure; infinite where only one of the two has a number."""
    gap = torch.where(first.isnan() & second.isnan(), 0.0, first - second).abs().nan_to_num(nan=float("inf"))
    return dict(zip(MEASURES, gap.amax((1, 2)).tolist(), strict=True))


def degrade(references: Tensor) -> Tensor:
    """Estimates with filtering, interference and artefacts, `[S C T]`."""
    mixture = references.sum(0)
    leaky = references + LEAKAGE * (mixture - references)
    power = stft(leaky, N_FFT, HOP).abs().square()
    masks = power / (power.sum(0) + 1e-10)
    return istft(masks * stft(mixture, N_FFT, HOP), N_FFT, HOP, mixture.shape[-1])


def with_soli(references: Tensor, estimates: Tensor, window: int) -> Tensor:
    """Ours."""
    return torch.stack(bss_eval(references, estimates, window=window))


def with_museval(museval: ModuleType) -> Scorer:
    """Theirs, with the settings of its mode v4."""

    def scorer(references: Tensor, estimates: Tensor, window: int) -> Tensor:
        arrays = (signals.mT.contiguous().numpy() for signals in (references, estimates))
        return torch.from_numpy(np.stack(museval.bss_eval(*arrays, window=window, hop=window)[:4]))

    return scorer


def load_museval() -> ModuleType:
    """Its metrics alone: the package as a whole wants an ffmpeg binary and a dataset library."""
    package = importlib.util.find_spec("museval")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise SoliError("museval is not installed; pip install --no-deps museval==0.4.1 scipy")
    spec = importlib.util.spec_from_file_location("museval_metrics", Path(folders[0]) / "metrics.py")
    if spec is None or spec.loader is None:
        raise SoliError(f"{folders[0]}: no metrics.py in this museval; 0.4.1 has one")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def markdown(data: dict[str, object], clips: list[dict[str, object]], rescaled: bool) -> str:
    """The tables."""
    text = f"# BSS Eval\n\n{data['data']}; {data['measure']}.\n\n"
    rows = [("soli to museval", *worst(clips, "difference"))]
    if rescaled:
        rows.append((f"museval to itself, everything times {FACTOR}", *worst(clips, "museval_to_itself")))
    text += table(("", *MEASURES), rows)
    text += "\n" + table(("median seconds a clip", "soli", "museval"), [("", *data["median_seconds"].values())])
    threads = data["machine"]["threads"]
    text += f"\nsoli is {data['speed_ratio']:.1f} times as fast (whole run, {threads} threads"
    return text + f"; by processor time {data['speed_ratio_cpu_time']:.1f} times).\n"


def worst(clips: list[dict[str, object]], key: str) -> list[str]:
    """The largest difference of any clip."""
    return [f"{max(clip[key][measure] for clip in clips):.1e}" for measure in MEASURES]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--longest", type=float, help="at most so many seconds of each track")
    parser.add_argument("--limit", type=int, help="only the first clips")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a frame")
    parser.add_argument("--as-decoded", action="store_true", help="do not round to 16 bits")
    parser.add_argument("--rescaled", action="store_true", help="score with museval a second time, everything louder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "bss_eval.json")
    run(main, parser)
