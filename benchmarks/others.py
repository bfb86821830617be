"""Other instruments, told apart without a name: benchmarks/results/others.{json,md}.

From the middle of every song come so many seconds of its two to five loudest instruments beside vocals, drums and bass;
their sum is the mixture. Every method is given the number of instruments (the loudest K of its own where it cannot be),
and every instrument the estimate that suits it best. Models are also asked for the number itself. A folder of a paper
preset stands in three rows, one for each algorithm.

    python benchmarks/others.py runs/latentcluster-*/model --data twin --split folders:test_a
    python benchmarks/others.py runs/latentcluster-*/model --data small_multitracks --only mcq_band --most 8 \\
        --output benchmarks/results/others_band.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from clips import RESULTS, folder_name, machine, run, table, write_results
from torch import Tensor

from soli.audio import resample
from soli.baselines.nmf import NMFConfig, factorise
from soli.baselines.oracles import oracle_estimates
from soli.data.layouts import open_dataset
from soli.data.tracks import Track
from soli.discovery.front_ends import NAMED
from soli.dsp.stft import istft, stft
from soli.errors import SoliError
from soli.evaluation.metrics import best_permutation_si_sdr, si_sdr
from soli.evaluation.selection import choose_tracks
from soli.files import model_name
from soli.separator import Separator
from soli.systems.latentcluster.config import Selection
from soli.systems.latentcluster.discoverer import LatentDiscoverer
from soli.systems.latentcluster.paper import LatentClusterPaper
from soli.systems.latentcluster.separator import LatentCluster
from soli.zoo import load, model_info

QUIET_DB = -30.0
N_FFT, HOP = 2048, 512
ALGORITHMS = ("kmeans", "agglomerative", "dbscan")
Method = Callable[[Tensor, Tensor, int], Tensor]
"""References `[S 1 T]`, mixture `[1 T]` and rate -> estimates `[K 1 T]`."""


class Song(NamedTuple):
    """Instruments of a song, `[S 1 T]`."""

    name: str
    instruments: tuple[str, ...]
    references: Tensor
    sample_rate: int


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    models = {model_name(path): discoverer(path, arguments.device) for path in arguments.models}
    methods: dict[str, Method] = {
        "mixture": untouched,
        "NMF, same K": nmf,
        "frame-gating oracle": gating,
        "IRM oracle": ratio,
    }
    for name, model in models.items():
        methods |= rows_of(name, model)
    tracks = choose_tracks(open_dataset(arguments.data), arguments.split, arguments.limit)
    songs = [found for track in tracks if (found := song(track, arguments)) is not None]
    if not songs:
        raise SoliError(f"{arguments.data}: no song with two other instruments")
    improvements: dict[str, list[list[float]]] = {name: [] for name in methods}
    counters = {f"{name}{label}": (model, changes) for name, model in models.items() for label, changes in ways(model)}
    numbers: dict[str, list[tuple[int, int]]] = {name: [] for name in counters}
    seconds: dict[str, float] = dict.fromkeys(counters, 0.0)
    for item in songs:
        mixture = item.references.sum(dim=0)
        for name, method in methods.items():
            improvements[name].append(improvement(item.references, method(item.references, mixture, item.sample_rate)))
        for name, (model, changes) in counters.items():
            began = time.perf_counter()
            model.config = replace(model.config, **changes)
            found = model.discover(at(mixture, item.sample_rate, model), model.sample_rate)
            seconds[name] += time.perf_counter() - began
            numbers[name].append((len(item.references), len(found)))
        print(f"{item.name}: {', '.join(item.instruments)}", flush=True)
    length = sum(item.references.shape[-1] / item.sample_rate for item in songs)
    data = {
        "measure": "SI-SDR improvement in dB over the mixture, best permutation, mean over instruments",
        "data": f"{folder_name(arguments.data)} {arguments.split or ''}, {len(songs)} songs of {arguments.seconds:g} s",
        "models": {name: model_info(path).sha256 for name, path in zip(models, arguments.models, strict=True)},
        "machine": machine() | {"device": arguments.device},
        "songs": [{"name": item.name, "instruments": item.instruments} for item in songs],
        "improvements": improvements,
        "numbers": numbers,
        "seconds_per_minute": {name: 60 * value / length for name, value in seconds.items()},
    }
    write_results(arguments.output, data, markdown(data))


def song(track: Track, arguments: argparse.Namespace) -> Song | None:
    """The loudest instruments of the middle of a track; None for fewer than two."""
    if arguments.only and track.name not in arguments.only:
        return None
    wanted = [(instrument(name, stem.labels), name) for name, stem in track.stems.items()]
    length = min(round(arguments.seconds * track.sample_rate), track.n_samples)
    start = (track.n_samples - length) // 2
    parts: dict[str, Tensor] = {}
    for label, name in wanted:
        if label:
            read = torch.from_numpy(track.read(name, start=start, n_samples=length)).mean(dim=0, keepdim=True)
            parts[label] = parts[label] + read if label in parts else read
    energies = {label: float(part.square().mean()) for label, part in parts.items()}
    loudest = sorted(energies, key=lambda label: -energies[label])[: arguments.most]
    kept = [label for label in loudest if energies[label] > energies[loudest[0]] * 10 ** (QUIET_DB / 10) > 0]
    if len(kept) < 2:
        return None
    return Song(track.name, tuple(kept), torch.stack([parts[label] for label in kept]), track.sample_rate)


def instrument(name: str, labels: Sequence[str]) -> str:
    """The finest label of a stem, its own name where that says nothing; empty for vocals, drums and bass."""
    if labels and labels[0] in NAMED:
        return ""
    return labels[-1] if labels and labels[-1] != "other" else name


def discoverer(path: str, device: str) -> LatentDiscoverer:
    model = load(path, device)
    if not isinstance(model, LatentDiscoverer):
        raise SoliError(f"{path} is not a latentcluster")
    return model


def rows_of(name: str, model: LatentDiscoverer) -> dict[str, Method]:
    """One row, or one for each algorithm or assignment."""

    def by(changes: Mapping[str, Any]) -> Method:
        def method(truth: Tensor, mixture: Tensor, rate: int) -> Tensor:
            model.config = replace(model.config, **changes)
            return discovered(model, mixture, rate, len(truth))

        return method

    if isinstance(model, LatentClusterPaper):
        return {f"{name}, {algorithm}": by({"algorithm": algorithm}) for algorithm in ALGORITHMS}
    if isinstance(model, LatentCluster):
        return {f"{name}, {how}": by({"assignment": how}) for how in ("soft", "nmf")}
    return {name: by({})}


def ways(model: LatentDiscoverer) -> list[tuple[str, dict[str, str]]]:
    """How a model can count its sources: label, and changes of its config."""
    if isinstance(model, LatentClusterPaper):
        return [(f", {algorithm}", {"algorithm": algorithm}) for algorithm in ALGORITHMS]
    if isinstance(model, LatentCluster):
        return [(f", {how}", {"selection": how, "assignment": "soft"}) for how in get_args(Selection)]
    return [("", {})]


def at(mixture: Tensor, rate: int, model: Separator) -> Tensor:
    return resample(mixture, rate, model.sample_rate)


def discovered(model: LatentDiscoverer, mixture: Tensor, rate: int, n_sources: int) -> Tensor:
    """At the rate and length of the mixture."""
    found = model.discover(at(mixture, rate, model), model.sample_rate, n_sources=min(n_sources, 8)).stems.cpu()
    found = found[:n_sources]  # loudest first
    back = torch.stack([resample(stem, model.sample_rate, rate) for stem in found])
    return torch.nn.functional.pad(back, (0, mixture.shape[-1] - back.shape[-1]))


def untouched(truth: Tensor, mixture: Tensor, rate: int) -> Tensor:
    return mixture.expand_as(truth)


def nmf(truth: Tensor, mixture: Tensor, rate: int) -> Tensor:
    """As many parts as instruments, by scikit-learn, as the models of a Wiener filter."""
    spectrogram = stft(mixture, N_FFT, HOP)
    magnitude = spectrogram.abs()[0].double().numpy()
    spectra, levels = factorise(magnitude, NMFConfig(n_components=len(truth), n_iterations=200))
    parts = torch.einsum("fk,kn->kfn", torch.from_numpy(spectra), torch.from_numpy(levels)).square() + 1e-20
    masks = (parts / parts.sum(dim=0)).to(spectrogram.real.dtype)
    return istft(masks[:, None] * spectrogram, N_FFT, HOP, mixture.shape[-1])


def gating(truth: Tensor, mixture: Tensor, rate: int) -> Tensor:
    """What clusters of frames could do at best: every frame goes to the instrument that is loudest in it."""
    energies = stft(truth, N_FFT, HOP).abs().square().sum(dim=(1, 2))  # [S N]
    gates = torch.nn.functional.one_hot(energies.argmax(dim=0), len(truth)).T.to(mixture.dtype)
    return istft(gates[:, None, None] * stft(mixture, N_FFT, HOP), N_FFT, HOP, mixture.shape[-1])


def ratio(truth: Tensor, mixture: Tensor, rate: int) -> Tensor:
    return oracle_estimates(truth, "ratio", n_fft=N_FFT, hop_length=HOP)


def improvement(references: Tensor, estimates: Tensor) -> list[float]:
    """Of each instrument; one that nothing is left for is worth the mixture."""
    before = si_sdr(references, references.sum(dim=0).expand_as(references))
    after = best_permutation_si_sdr(references, estimates).si_sdr
    after = torch.where(torch.isfinite(after), after, before)
    return (after - before).tolist()


def markdown(data: Mapping[str, Any]) -> str:
    rows = []
    for name, values in data["improvements"].items():
        flat = torch.tensor([value for song_values in values for value in song_values])
        rows.append([name, float(flat.mean()), float(flat.quantile(0.5))])
    counts = []
    for name, pairs in data["numbers"].items():
        exact = sum(true == found for true, found in pairs) / len(pairs)
        near = sum(abs(true - found) <= 1 for true, found in pairs) / len(pairs)
        counts.append([name, 100 * exact, 100 * near, data["seconds_per_minute"][name]])
    about = (
        f"{data['measure']}; {data['data']}. Every method knows how many instruments there are; below is how "
        "often the models find that number, and how long they take."
    )
    columns = ("", "exact (%)", "within one (%)", "seconds per minute")
    second = f"\n## How many\n\n{table(columns, counts)}" if counts else ""
    return f"# Other instruments\n\n{about}\n\n{table(('', 'mean', 'median'), rows)}{second}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="MODEL", nargs="*", help="folders of latentcluster models")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--only", nargs="+", help="only songs of these names")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each song")
    parser.add_argument("--most", type=int, default=5, help="instruments of a song")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "others.json")
    run(main, parser)
