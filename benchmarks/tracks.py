"""Do datasets resemble each other in activity, loudness and pitch? Writes results/tracks.{json,md}.

Every track is mixed down to one channel at 22.05 kHz and cut into frames of 100 ms.

- A class is active in a frame when its level is above -50 dBFS and within 40 dB of its own loudest frame in the track.
- Loudness is integrated (ITU-R BS.1770-4) over the whole track, relative to the loudness of the mixture, in LU.
- Pitch is that of the normalised square difference function (McLeod & Wyvill 2005) where it is clear (above 0.85):
  for a class that plays chords it says where the strongest common period lies, in every dataset by the same rule.

    python benchmarks/tracks.py --data musdb18_7s/train twin/test_a --merge other=guitar,piano,other
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from clips import RESULTS, folder_name, run, table, write_results

from soli.audio import resample
from soli.data.layouts import open_dataset
from soli.data.tracks import Track
from soli.dsp.loudness import integrated_loudness

RATE, FRAME = 22050, 2205
ACTIVE_DBFS, ACTIVE_RANGE = -50.0, 40.0
WINDOW, CLARITY = 2048, 0.85
LOWEST, HIGHEST = 32.0, 1600.0  # Hz


@dataclass
class Class:
    """What was seen of one class over all tracks of a dataset."""

    tracks: int = 0
    active: int = 0
    clear: int = 0
    loudness: list[float] = field(default_factory=list)
    pitches: list[np.ndarray] = field(default_factory=list)


def main(arguments: argparse.Namespace) -> None:
    merges = dict(parse_merge(text) for text in arguments.merge)
    found = {folder_name(folder): measure(folder, merges, arguments) for folder in arguments.data}
    data = {
        "frames": "100 ms; active above -50 dBFS and within 40 dB of the loudest; one channel at 22.05 kHz",
        "datasets": found,
    }
    write_results(arguments.output, data, markdown(found))


def parse_merge(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, parts = text.partition("=")
    return name, tuple(parts.split(","))


def measure(folder: Path, merges: dict[str, tuple[str, ...]], arguments: argparse.Namespace) -> dict[str, object]:
    """All tracks of a dataset, or as many as were asked for, drawn at random."""
    dataset = open_dataset(folder)
    order = np.random.default_rng(0).permutation(len(dataset.tracks))[: arguments.limit]
    classes: dict[str, Class] = defaultdict(Class)
    counts: list[np.ndarray] = []
    loudness: list[float] = []
    for index in order:
        track = dataset.tracks[index]
        stems = load(track, merges)
        mixture = sum(stems.values())
        loudness.append(lufs(mixture))
        frames = {name: active(stem) for name, stem in stems.items()}
        counts.append(np.sum(list(frames.values()), axis=0))
        for name, stem in stems.items():
            if frames[name].any():
                see(classes[name], stem, frames[name], loudness[-1])
    total = np.concatenate(counts)
    return {
        "tracks": len(order),
        "hours": len(total) * FRAME / RATE / 3600,
        "two_or_more_active": float((total >= 2).mean()),
        "mean_active": float(total.mean()),
        "mixture_lufs": percentiles(loudness),
        "classes": {name: summary(found, len(order), len(total)) for name, found in sorted(classes.items())},
    }


def load(track: Track, merges: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """The classes of a track by their coarse labels, one channel at 22.05 kHz."""
    coarse = dict.fromkeys(stem.labels[0] for stem in track.stems.values() if stem.labels)
    names = {part: name for name, parts in merges.items() for part in parts}
    stems: dict[str, np.ndarray] = {}
    for label in coarse:
        audio = torch.from_numpy(track.submix(label).mean(axis=0, keepdims=True))
        mono = resample(audio, track.sample_rate, RATE).numpy()[0]
        name = names.get(label, label)
        stems[name] = stems[name] + mono if name in stems else mono
    return stems


def active(audio: np.ndarray) -> np.ndarray:
    """Whether a class sounds, per frame."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return (level > ACTIVE_DBFS) & (level > level.max(initial=-120.0) - ACTIVE_RANGE)


def see(found: Class, audio: np.ndarray, frames: np.ndarray, mixture_lufs: float) -> None:
    pitch = pitches(audio, np.flatnonzero(frames) * FRAME)
    found.tracks += 1
    found.active += int(frames.sum())
    found.clear += int(np.isfinite(pitch).sum())
    found.loudness.append(lufs(audio) - mixture_lufs)
    found.pitches.append(pitch[np.isfinite(pitch)])


def pitches(audio: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """MIDI pitch of the frames that begin at `starts`; NaN where no period is clear."""
    padded = np.pad(audio, (0, WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[starts].astype(np.float64)
    n_lags = round(RATE / LOWEST) + 1
    spectrum = np.fft.rfft(windows, 2 * WINDOW)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, :n_lags]
    power = np.cumsum(np.pad(windows**2, ((0, 0), (1, 0))), axis=1)
    lags = np.arange(n_lags)
    energy = power[:, WINDOW - lags] + power[:, -1:] - power[:, lags]
    nsdf = 2 * correlation / np.maximum(energy, 1e-9)
    peak = (nsdf[:, 1:-1] > nsdf[:, :-2]) & (nsdf[:, 1:-1] >= nsdf[:, 2:])
    peak &= lags[1:-1] >= RATE / HIGHEST
    heights = np.where(peak, nsdf[:, 1:-1], -1.0)
    best = heights.max(axis=1, initial=-1.0)
    first = (heights >= 0.93 * best[:, None]).argmax(axis=1) + 1
    return np.where(best > CLARITY, 69 + 12 * np.log2(RATE / first / 440), np.nan)


def lufs(audio: np.ndarray) -> float:
    return float(integrated_loudness(torch.from_numpy(audio)[None], RATE))


def percentiles(values: list[float] | np.ndarray) -> list[float]:
    """The 5th, 50th and 95th."""
    known = np.asarray(values)[np.isfinite(values)]
    return [float(value) for value in np.percentile(known, [5, 50, 95])] if len(known) else [float("nan")] * 3


def summary(found: Class, n_tracks: int, n_frames: int) -> dict[str, object]:
    return {
        "tracks": found.tracks / n_tracks,
        "active": found.active / n_frames,
        "relative_lu": percentiles(found.loudness),
        "clear_pitch": found.clear / max(found.active, 1),
        "midi_pitch": percentiles(np.concatenate(found.pitches)),
    }


def markdown(found: dict[str, dict]) -> str:
    rows = [
        [name, d["tracks"], d["hours"], percent(d["two_or_more_active"]), d["mean_active"], spread(d["mixture_lufs"])]
        for name, d in found.items()
    ]
    columns = ("data", "tracks", "hours", "frames with 2 or more classes", "classes per frame", "mixture, LUFS")
    text = "Spreads are the 5th, 50th and 95th percentile.\n\n" + table(columns, rows)
    classes = sorted({name for d in found.values() for name in d["classes"]})
    rows = [
        [
            name,
            data,
            percent(c["tracks"]),
            percent(c["active"]),
            spread(c["relative_lu"]),
            spread(c["midi_pitch"]),
            percent(c["clear_pitch"]),
        ]
        for name in classes
        for data, d in found.items()
        if (c := d["classes"].get(name))
    ]
    columns = ("class", "data", "in tracks", "active frames", "loudness, LU to the mixture", "pitch, MIDI", "clear")
    return text + "\n" + table(columns, rows)


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def spread(values: list[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of any layout")
    parser.add_argument("--merge", nargs="*", default=[], help="NAME=CLASS,CLASS…: sum these classes under one name")
    parser.add_argument("--limit", type=int, help="at most this many tracks of each")
    parser.add_argument("--output", type=Path, default=RESULTS / "tracks.json")
    run(main, parser)
