"""The stems of one recording: files that together sum to it, and that appear together or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from soli.audio.formats import SILENCE_DBFS, dbfs, find_subtype
from soli.audio.writer import AudioWriter
from soli.errors import SoliError

RESIDUAL = "residual"
"""Name of what the stems lack of the mixture."""

MIX = "mix"
"""Name of the mixture itself."""

_CHUNK = 65536  # samples


def round_together(signals: Tensor, bits: int) -> Tensor:
    """Round signals to integers so that their sum is the rounded sum.

    Rounded one by one, the errors of S signals add up to S/2 steps. Here each signal is the difference of two rounded
    running sums: every value is less than one step off, the sum at most half a step, and silence stays silence.

    Args:
        signals: `[S ... T]`, full scale at +-1; float64 for more than 16 bits.
        bits: of the integers.

    Returns:
        Values on the grid of the integers, not clipped, of the same shape and type.
    """
    scale = 2.0 ** (bits - 1)
    sums = (signals.cumsum(dim=0) * scale).round()
    return torch.cat([sums[:1], sums[1:] - sums[:-1]]) / scale


class StemSet:
    """Write stems and the residual; the files are named only after all of them are complete.

    The residual is what the other files, as stored, lack of the mixture: what no source claims, and what clipping cut
    off. Its file begins with the first sample above `SILENCE_DBFS`, after zeros; without such a sample there is none,
    and an older one goes.

    Args:
        paths: of the stems by name, in the order of the source axis.
        residual: path of the residual.
        sample_rate: in Hz.
        n_channels: of the mixture.
        subtype: see `AudioWriter`.
        n_samples: expected length, if known.
        mix: path of the mixture itself, which then appears with its stems; None for none.

    Attributes:
        sample_rate: of the files, in Hz.
        n_channels: of the files.
        subtype: of the files, such as "PCM_16".
        peaks: by name of the file, the highest absolute sample before any clipping; 1 is full scale.
        n_samples: written so far, per channel.

    Raises:
        SoliError: see `AudioWriter`.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        residual: Path,
        sample_rate: int,
        n_channels: int,
        subtype: str | None = None,
        *,
        n_samples: int | None = None,
        mix: Path | None = None,
    ) -> None:
        self.sample_rate, self.n_channels = sample_rate, n_channels
        self.subtype = find_subtype(residual.suffix.lower().removeprefix("."), subtype)
        self.peaks: dict[str, float] = {}
        self.n_samples = 0
        self._lacking = 0.0
        self._folders: list[Path] = []
        self._writers: dict[str, AudioWriter] = {}
        self._stems = tuple(paths)
        self._residual_path, self._has_mix = residual, mix is not None
        self._make_writer = partial(
            AudioWriter, sample_rate=sample_rate, n_channels=n_channels, subtype=subtype, n_samples=n_samples
        )
        try:
            for name, path in (paths if mix is None else {**paths, MIX: mix}).items():
                self._open(name, path)
        except BaseException:
            self.discard()
            raise

    def write(self, mixture: Tensor, stems: Tensor) -> None:
        """Append a block to every file.

        Args:
            mixture: `[C T]`.
            stems: `[S C T]`.

        Raises:
            SoliError: when the disk is full.
        """
        for parts in zip(mixture.split(_CHUNK, dim=-1), stems.split(_CHUNK, dim=-1), strict=True):
            self._write_chunk(*parts)

    def commit(self) -> None:
        """Complete all files and give them their names.

        Older files of those names, and an older residual where there is none now, go; after an error or Ctrl-C they are
        back, and nothing else is left.

        Raises:
            SoliError: when one of them cannot be completed or named.
        """
        older: dict[Path, Path] = {}
        named: list[Path] = []
        try:
            for writer in self._writers.values():
                writer.finish()
            for path in {*self.paths.values(), self._residual_path}:
                _set_aside(path, older)
            for writer in self._writers.values():
                named.append(writer.path)
                writer.commit()
        except BaseException:
            for path in named:
                with suppress(OSError):  # it did not get so far, or a folder has that name
                    path.unlink()
            for path, aside in older.items():
                with suppress(OSError):  # it did not get so far
                    aside.replace(path)
            self.discard()
            raise
        for aside in older.values():
            aside.unlink(missing_ok=True)

    def discard(self) -> None:
        """Drop every temporary file, and the folders made for them that are empty."""
        for writer in self._writers.values():
            writer.discard()
        for folder in reversed(self._folders):
            with suppress(OSError):  # something else lies in it, or it is gone
                folder.rmdir()

    @property
    def paths(self) -> dict[str, Path]:
        """The files by name; "residual" only where there is one."""
        return {name: writer.path for name, writer in self._writers.items()}

    @property
    def clipped(self) -> dict[str, int]:
        """Clipped samples by name."""
        return {name: writer.clipped for name, writer in self._writers.items()}

    @property
    def null_dbfs(self) -> float:
        """Peak of the mixture minus the sum of the files, as handed to the encoders; -200 is digital silence."""
        return dbfs(self._lacking)

    def __enter__(self) -> Self:
        """Return itself; the temporary files were opened by the constructor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit after a clean end, discard after any exception, Ctrl-C included."""
        if kind is None:
            self.commit()
        else:
            self.discard()

    def _open(self, name: str, path: Path) -> None:
        """Begin a file, in a folder that is made if it is missing."""
        _make_folder(path.parent, self._folders)
        self._writers[name] = self._make_writer(path)
        self.peaks[name] = 0.0

    def _write_chunk(self, mixture: Tensor, stems: Tensor) -> None:
        """Append a short block, for which the copies made here weigh little."""
        bits = next((writer.bits for writer in self._writers.values()), None)
        exact = torch.float32 if bits == 16 else torch.float64  # float32 holds sums of 16-bit integers
        mixture, stems = mixture.to(exact), stems.to(exact)
        if self._has_mix:
            self._write(MIX, mixture)
        goal = mixture
        if bits is not None:
            goal, stems = round_together(mixture[None], bits)[0], round_together(stems, bits)
        residual = goal
        for name, stem in zip(self._stems, stems, strict=True):
            residual = residual - self._write(name, stem)
        lacking = residual - self._write_residual(residual)
        self._lacking = max(self._lacking, _peak(lacking + (mixture - goal)))
        self.n_samples += mixture.shape[-1]

    def _write(self, name: str, signal: Tensor) -> Tensor:
        """Append to one file; returns what it stores."""
        self.peaks[name] = max(self.peaks[name], _peak(signal))
        return self._writers[name].write(signal)

    def _write_residual(self, residual: Tensor) -> Tensor:
        """Append to the residual, if there is one or it begins here; returns what is stored of it."""
        if RESIDUAL not in self._writers:
            if dbfs(_peak(residual)) <= SILENCE_DBFS:
                return torch.zeros_like(residual)
            self._open(RESIDUAL, self._residual_path)
            for start in range(0, self.n_samples, _CHUNK):
                silence = residual.new_zeros(len(residual), min(_CHUNK, self.n_samples - start))
                self._write(RESIDUAL, silence)
        return self._write(RESIDUAL, residual)


def _peak(signal: Tensor) -> float:
    """Highest absolute value; 0 for no samples."""
    return float(signal.abs().max()) if signal.numel() else 0.0


def _set_aside(path: Path, older: dict[Path, Path]) -> None:
    """Give a file that is there a hidden name beside it, and note that before."""
    if not (path.is_file() or path.is_symlink()):
        return
    older[path] = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    try:
        path.rename(older[path])
    except OSError as error:
        raise SoliError(f"{path}: this older file cannot be replaced: {error.strerror}") from error


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and its missing parents, and note which were made."""
    for missing in [parent for parent in (folder, *folder.parents) if not parent.exists()][::-1]:
        try:
            missing.mkdir()
        except OSError as error:
            if missing.is_dir():  # another process was quicker
                continue
            raise SoliError(f"{missing}: this folder cannot be made: {error.strerror}") from error
        made.append(missing)
