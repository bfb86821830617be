"""Did a codebook find the sources? Writes benchmarks/results/categories.{json,md}.

Labelled multitracks, such as those of recipes/data/multitracks.toml, are asked four things. Which code do isolated
excerpts of each class have (up to so many of a class; seed 000's eleven classes, and merged to five groups)? How well
is each true source separated by its own code (targets summed by code), and how loud are the codes that no source of the
excerpt has? Do the outputs sum to the mixture? How long does a minute take beside one pass of the trunk? With --musdb,
codes are given the stem that their majority class belongs to, and their sums are measured as stems.

Others beside it, such as ablations, are measured on the first folder in one row each.

    python benchmarks/categories.py MODEL --data DIR/test_a DIR/test_b [--musdb FOLDER] [--beside MODEL...]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from clips import RESULTS, find_clips, folder_name, load_clip, machine, run, table, write_results
from torch import Tensor

from soli.audio import resample
from soli.baselines.oracles import oracle_estimates
from soli.data.layouts import open_dataset
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.evaluation.metrics import (
    class_code_histogram,
    dead_codes,
    homogeneity,
    normalized_mutual_information,
    perplexity,
    purity,
    sdr_global,
    si_sdr_improvement,
)
from soli.files import model_name
from soli.systems.vqquery.discovery import CodeSeparator
from soli.systems.vqquery.separator import VQQuery
from soli.zoo import load, model_info

ELEVEN = ("ride", "guitar", "snare", "bass", "crash_2", "toms", "kick", "vocals", "crash_1", "misc", "overheads")
DRUMS = ("ride", "snare", "crash_2", "toms", "kick", "crash_1", "overheads", "hi_hat", "percussion", "drums")
GROUPS = ("drums", "guitar", "bass", "vocals", "misc")
MUSDB = ("vocals", "drums", "bass", "other")
SEED = {"purity": 0.52, "nmi": 0.473, "perplexity": 10.5, "dead": 3, "purity_of_groups": 0.824}
SILENT_DBFS = -50.0
N_FFT = 2048
LEAST_DB = -30.0  # a stem counts as there when it is above this, relative to the mixture


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    model = with_codes(arguments.model)
    others = {model_name(path): with_codes(path) for path in arguments.beside}
    data: dict[str, object] = {
        "model": {"name": model_name(arguments.model), "sha256": model_info(arguments.model).sha256},
        "machine": machine(),
        "seed": SEED,
    }
    text = f"# Categories\n\n`{model_name(arguments.model)}`; seed 000's page beside it.\n\n"
    for folder in arguments.data:
        found, n_songs = measure(model, folder, arguments)
        data[folder_name(folder)] = found
        text += f"## {folder_name(folder)}, {n_songs} songs\n\n{codes_table(found)}\n{outputs_table(found)}\n"
    if others:
        data["beside"] = {name: measure(other, arguments.data[0], arguments)[0] for name, other in others.items()}
        text += f"## Beside it, on {folder_name(arguments.data[0])}\n\n{rows_table(data['beside'])}\n"
    if arguments.musdb:
        data["musdb"] = measure_stems(model, arguments.musdb, arguments.limit)
        rows = [(name, *(values[stem] for stem in (*MUSDB, "mean"))) for name, values in data["musdb"].items()]
        text += f"## {folder_name(arguments.musdb)}\n\nMedian SDR in dB, whole clips.\n\n"
        text += table(("", *MUSDB, "mean"), rows) + "\n"
    if isinstance(model, VQQuery):
        data["seconds_for_a_minute"] = timing = measure_time(model)
        text += "Seconds for a minute of audio: " + ", ".join(f"{name} {value:.2f}" for name, value in timing.items())
    write_results(arguments.output, data, text + "\n")


def with_codes(path: str) -> CodeSeparator:
    model = load(path)
    if not isinstance(model, CodeSeparator):
        raise SoliError(f"{path} has no codes to ask for")
    return model


def measure(model: CodeSeparator, folder: Path, arguments: argparse.Namespace) -> tuple[dict[str, object], int]:
    """All that labelled multitracks can say of a model, and how many songs said it."""
    tracks = list(open_dataset(folder, "slakh_pieces").tracks)[: arguments.limit]
    found = measure_codes(model, tracks, arguments.seconds, arguments.excerpts)
    return found | measure_outputs(model, tracks, arguments.mixture_seconds, arguments.mixtures), len(tracks)


def class_of(label: str) -> str:
    """One of `ELEVEN`; the seed has no hi-hat and no percussion, which are "misc" here."""
    return label if label in ELEVEN else "misc"


def group_of(label: str) -> str:
    """One of `GROUPS`; hi-hat and percussion are drums."""
    return "drums" if label in DRUMS else label if label in GROUPS else "misc"


def measure_codes(model: CodeSeparator, tracks: list[Track], seconds: float, most: int) -> dict[str, object]:
    """Histogram of isolated excerpts, and its measures."""
    length = round(seconds * model.sample_rate)
    dice = np.random.default_rng(0)
    found: dict[str, list[tuple[str, Tensor]]] = defaultdict(list)
    for track in tracks:
        for label, audio in stems_of(track, model.sample_rate):
            pieces = [piece for piece in audio.split(length) if len(piece) == length and level(piece) > SILENT_DBFS]
            chosen = [pieces[place] for place in dice.permutation(len(pieces))[:12]]  # no class is of a few songs alone
            found[class_of(label)] += [(label, piece) for piece in chosen]
    rows, groups, codes = [], [], []
    for index, name in enumerate(ELEVEN):
        drawn = [found[name][place] for place in dice.permutation(len(found[name]))[:most]]
        for start in range(0, len(drawn), 32):
            batch = drawn[start : start + 32]
            codes.append(model.codes_of(torch.stack([piece for _, piece in batch])))
            rows.append(torch.full_like(codes[-1], index))
            groups.append(torch.tensor([GROUPS.index(group_of(label)) for label, _ in batch]))
    n_codes = len(model.sources)
    counts = class_code_histogram(torch.cat(rows), torch.cat(codes), n_classes=len(ELEVEN), n_codes=n_codes)
    merged = class_code_histogram(torch.cat(groups), torch.cat(codes), n_classes=len(GROUPS), n_codes=n_codes)
    return {
        "classes": ELEVEN,
        "histogram": counts.tolist(),
        "purity": float(purity(counts)),
        "nmi": float(normalized_mutual_information(counts)),
        "homogeneity": float(homogeneity(counts)),
        "perplexity": float(perplexity(counts.sum(dim=0))),
        "dead": int(dead_codes(counts.sum(dim=0)).sum()),
        "purity_of_groups": float(purity(merged)),
    }


def stems_of(track: Track, rate: int) -> Iterator[tuple[str, Tensor]]:
    """Label and mono audio `[T]` of each stem."""
    for name, stem in track.stems.items():
        audio = torch.from_numpy(track.read(name)).mean(dim=0, keepdim=True)
        yield stem.labels[-1], resample(audio, track.sample_rate, rate)[0]


def level(audio: Tensor) -> float:
    """In dBFS."""
    return float(10 * torch.log10(audio.double().square().mean() + 1e-20))


def measure_outputs(model: CodeSeparator, tracks: list[Track], seconds: float, per_song: int) -> dict[str, object]:
    """SI-SDR improvement by class, leakage of absent codes, and the null."""
    length = round(seconds * model.sample_rate)
    gains: dict[str, list[float]] = defaultdict(list)
    by_code: list[float] = []
    by_example: list[float] = []
    ideal: list[float] = []
    leaks: list[float] = []
    foreign: list[float] = []
    classes = [model.class_of(code) for code in range(len(model.sources))]
    null, n_left_out = -np.inf, 0
    for track in tracks:
        stems = list(stems_of(track, model.sample_rate))
        whole = torch.stack([audio for _, audio in stems])
        fine = [label for label, _ in stems]
        labels = [class_of(label) for label in fine]
        for start in np.linspace(0, max(whole.shape[-1] - length, 0), per_song + 2).astype(int)[1:-1]:
            part = whole[:, start : start + length]
            mixture = part.sum(dim=0, keepdim=True)
            there = [i for i in range(len(part)) if level(part[i]) > level(mixture) + LEAST_DB]
            codes = model.codes_of(part[there]).tolist()
            estimates = model.separate(mixture, model.sample_rate)
            by_example += asked_by_themselves(model, part[there], mixture)
            null = max(null, float(20 * torch.log10(estimates.residual.abs().max() + 1e-20)))
            ideal += ideal_improvements(part[there], codes, mixture)
            for code in range(len(model.sources)):
                if code not in codes:
                    leaks.append(level(estimates.stems[code]) - level(mixture))
                    if classes[code] not in {fine[i] for i in there}:
                        foreign.append(leaks[-1])
                    continue
                members = [i for i, its in zip(there, codes, strict=True) if its == code]
                target = part[members].sum(dim=0, keepdim=True)
                gain = float(si_sdr_improvement(target, estimates.stems[code], mixture))
                if not np.isfinite(gain):  # one code has everything: the mixture is the target
                    n_left_out += 1
                    continue
                by_code.append(gain)
                for member in members:
                    gains[labels[member]].append(gain)
        print(track.name, flush=True)
    everything = [gain for values in gains.values() for gain in values]
    return {
        "si_sdr_improvement": {name: mean(gains[name]) for name in ELEVEN if gains[name]},
        "si_sdr_improvement_of_sources": mean(everything),
        "si_sdr_improvement_of_codes": mean(by_code),
        "si_sdr_improvement_by_example": mean(by_example),
        "si_sdr_improvement_of_ideal_masks": mean(ideal),
        "leakage_db": mean_level(leaks),
        "leakage_of_absent_classes_db": mean_level(foreign),
        "leakage_db_median": float(np.median(leaks)) if leaks else float("nan"),
        "null_dbfs": null,
        "codes_left_out": n_left_out,
    }


def ideal_improvements(sources: Tensor, codes: list[int], mixture: Tensor) -> list[float]:
    """What the ideal ratio mask of every code's sum gives each of its sources `[S T]`."""
    found = sorted(set(codes))
    if len(found) < 2:
        return []
    targets = torch.stack([sources[[i for i, its in enumerate(codes) if its == code]].sum(dim=0) for code in found])
    masked = oracle_estimates(targets[:, None], "ratio", n_fft=N_FFT, hop_length=N_FFT // 4)
    gains = {
        code: float(si_sdr_improvement(t[None], m, mixture)) for code, t, m in zip(found, targets, masked, strict=True)
    }
    return [gains[code] for code in codes]


@torch.inference_mode()
def asked_by_themselves(model: CodeSeparator, sources: Tensor, mixture: Tensor) -> list[float]:
    """SI-SDR improvement of sources `[S T]` when the embeddings of all of them are the queries, instead of codes."""
    if not isinstance(model, VQQuery):
        return []
    found = model.outputs(mixture, model.embed(sources)[None], range(len(sources)))[0]
    gains = [float(si_sdr_improvement(s[None], f[None], mixture)) for s, f in zip(sources, found, strict=True)]
    return [gain for gain in gains if np.isfinite(gain)]


def measure_stems(model: CodeSeparator, folder: Path, limit: int | None) -> dict[str, dict[str, float]]:
    """SDR of MUSDB18's stems as sums of the codes that are theirs, and how many codes those are.

    Beside it the mixture and the supervised default model. A stem without a code is silent and has 0 dB.
    """
    rows: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ("mixture", "codes", "default")}
    supervised = load("default")
    places = [musdb_class(model, code) for code in range(len(model.sources))]
    for track in find_clips(folder, limit):
        clip = load_clip(track)
        heard = resample(clip.mixture, clip.sample_rate, model.sample_rate)
        stems = model.separate(heard, model.sample_rate).stems
        known = supervised.separate(clip.mixture, clip.sample_rate)
        for name in MUSDB:
            own = [code for code, place in enumerate(places) if place == name]
            estimate = stems[own].sum(dim=0) if own else torch.zeros_like(heard)
            estimate = resample(estimate, model.sample_rate, clip.sample_rate)
            n_samples = min(estimate.shape[-1], clip.mixture.shape[-1])
            truth = clip.stems[name][..., :n_samples]
            rows["codes"][name].append(float(sdr_global(truth, estimate[..., :n_samples])))
            rows["default"][name].append(float(sdr_global(clip.stems[name], known[name])))
            rows["mixture"][name].append(float(sdr_global(truth, clip.mixture[..., :n_samples])))
    found = {row: {name: float(np.nanmedian(values[name])) for name in MUSDB} for row, values in rows.items()}
    found = {row: values | {"mean": mean(list(values.values()))} for row, values in found.items()}
    return found | {"number of codes": {name: float(places.count(name)) for name in MUSDB} | {"mean": float("nan")}}


def musdb_class(model: CodeSeparator, code: int) -> str:
    """The stem of MUSDB18 that a code's majority class belongs to."""
    group = group_of(model.class_of(code))
    return group if group in MUSDB else "other"


@torch.inference_mode()
def measure_time(model: VQQuery, rounds: int = 5) -> dict[str, float]:
    """Of all codes, and of one pass of the trunk over the same samples, in turns."""
    minute = 0.1 * torch.randn(1, 60 * model.sample_rate, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {"all codes": [], "one pass of the trunk": []}
    pieces = minute.split(round(model.segment_seconds * model.sample_rate), dim=-1)
    vectors = model.network.categories.vectors()[None]
    for _ in range(rounds):
        for name in times:
            began = time.perf_counter()
            for piece in pieces:
                if name == "all codes":
                    model.outputs(piece, vectors, range(len(model.sources)))
                else:
                    model.network.describe(piece)
            times[name].append(time.perf_counter() - began)
    best = {name: min(values) for name, values in times.items()}
    return best | {"ratio": best["all codes"] / best["one pass of the trunk"]}


def mean_level(levels: list[float]) -> float:
    """Mean of the powers, in dB; NaN when there are none."""
    return float(10 * np.log10(np.mean(10 ** (np.array(levels) / 10)))) if levels else float("nan")


def mean(values: list[float]) -> float:
    """NaN when there are none."""
    return float(np.mean(values)) if values else float("nan")


def codes_table(found: dict) -> str:
    names = ("purity", "nmi", "perplexity", "dead", "purity_of_groups")
    rows = [("seed 000", *(SEED[name] for name in names)), ("here", *(found[name] for name in names))]
    text = table(("eleven classes", "purity", "NMI", "perplexity", "dead codes", "purity of five groups"), rows)
    n_codes = len(found["histogram"][0])
    counts = [(name, *row) for name, row in zip(ELEVEN, found["histogram"], strict=True)]
    return f"{text}\n{table(('class', *map(str, range(n_codes))), counts)}"


def outputs_table(found: dict) -> str:
    gains = found["si_sdr_improvement"]
    return (
        table(("SI-SDR improvement, dB", *gains), [("own code", *gains.values())])
        + f"\nAll sources {found['si_sdr_improvement_of_sources']:.2f} dB, all codes that have a source"
        f" {found['si_sdr_improvement_of_codes']:.2f} dB; asked by their own embeddings instead of codes"
        f" {found['si_sdr_improvement_by_example']:.2f} dB; ideal ratio masks of the same targets"
        f" {found['si_sdr_improvement_of_ideal_masks']:.2f} dB, the mixture 0."
        f" Codes without a source: {found['leakage_db']:.1f} dB of the mixture, median"
        f" {found['leakage_db_median']:.1f} dB; those whose class is absent too"
        f" {found['leakage_of_absent_classes_db']:.1f} dB."
        f" Null {found['null_dbfs']:.0f} dBFS.\n"
    )


def rows_table(found: dict) -> str:
    """A row for each model."""
    columns = {
        "purity": "purity",
        "NMI": "nmi",
        "perplexity": "perplexity",
        "dead codes": "dead",
        "purity of five groups": "purity_of_groups",
        "SI-SDRi of sources": "si_sdr_improvement_of_sources",
        "of codes": "si_sdr_improvement_of_codes",
        "by example": "si_sdr_improvement_by_example",
        "leakage, dB": "leakage_db",
    }
    return table(("", *columns), [(name, *(one[key] for key in columns.values())) for name, one in found.items()])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a name or folder for soli.load")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders of rendered songs with drum pieces"
    )
    parser.add_argument("--beside", nargs="+", default=[], metavar="MODEL", help="ablations and other presets")
    parser.add_argument("--musdb", type=Path, help="clips of MUSDB18")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=3.5, help="of an isolated excerpt")
    parser.add_argument("--excerpts", type=int, default=240, help="of each class, at most")
    parser.add_argument("--mixture-seconds", type=float, default=12.0, help="of a mixture")
    parser.add_argument("--mixtures", type=int, default=2, help="of each song")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "categories.json")
    run(main, parser)
