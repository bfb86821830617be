"""Estimates on disk: made once by something slow, measured as often as needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from soli.audio import AudioWriter, read, resample
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.evaluation.examples import Estimator, Example, checked, track_key


class StemFolder:
    """Estimates made before: in a folder for each track, a file for each source.

    Tracks are looked for with their split, `test/Name`, and without. What the estimates were made with is not known.

    Args:
        folder: that holds the folders of the tracks.

    Raises:
        SoliError: when it is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SoliError(f"{self.folder}: there is no such folder; allowed: one with a folder of stems per track")

    def __call__(self, example: Example) -> dict[str, Tensor]:
        """Read the estimates of an example.

        Args:
            example: a track or a stretch of one.

        Returns:
            Source -> estimate `[C T]`, at the rate and with the channels of the example.

        Raises:
            SoliError: for a track or source without a file, and one that is too short or has other channels.
        """
        n_channels, length = example.mixture.shape
        found = {}
        for source in example.references:
            path = self._find(example.track, source)
            signal = _read_stem(path, path.stat().st_mtime_ns, n_channels == 1, example.sample_rate)
            found[source] = signal[:, example.start : example.start + length]
            if found[source].shape != example.mixture.shape:
                needed = f"{n_channels} channels and {example.start + length} samples"
                raise SoliError(f"{path}: {list(signal.shape)} at {example.sample_rate} Hz; needed: {needed}")
        return found

    def _find(self, track: str, source: str) -> Path:
        for folder in (self.folder / track, self.folder / Path(track).name):
            files = sorted(path for path in folder.glob("*") if path.stem == source)
            if len(files) > 1:
                raise SoliError(f"{folder}: {files[0].name} and {files[1].name} are both {source}; allowed: one file")
            if files:
                return files[0]
        raise SoliError(f"{self.folder / track}: there is no file of {source!r}")


def save_estimates(
    estimator: Estimator, tracks: Iterable[Track], folder: str | Path, sources: Sequence[str]
) -> list[Path]:
    """Separate whole tracks once, for `folder:PATH` to read; a track whose files are all there is left as it is.

    Args:
        estimator: what separates, such as a slow peer.
        tracks: of a dataset.
        folder: receives `TRACK/SOURCE.wav`, 32-bit float.
        sources: to keep.

    Returns:
        The files, those that were there before included.

    Raises:
        SoliError: for a track that cannot be read, a source that is not estimated, or a file that cannot be written.
    """
    written: list[Path] = []
    for track in tracks:
        paths = {source: Path(folder) / track_key(track) / f"{source}.wav" for source in sources}
        written += paths.values()
        if all(path.is_file() for path in paths.values()):
            continue
        mixture = torch.from_numpy(track.mixture())
        silence = dict.fromkeys(sources, torch.zeros_like(mixture))
        example = Example(track=track_key(track), mixture=mixture, references=silence, sample_rate=track.sample_rate)
        stems = checked(estimator(example), example)
        for path, stem in zip(paths.values(), stems, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with AudioWriter(path, example.sample_rate, len(stem), "FLOAT", n_samples=stem.shape[-1]) as writer:
                writer.write(stem)
    return written


@lru_cache(maxsize=4)
def _read_stem(path: Path, modified: int, mono: bool, sample_rate: int) -> Tensor:
    """`[C T]`, as `read_example` makes references of a file; kept for the next stretch of the same track."""
    del modified  # a file written anew is read anew
    samples, rate = read(path)
    return resample(samples.mean(dim=0, keepdim=True) if mono else samples, rate, sample_rate)
