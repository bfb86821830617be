"""Writing audio files: a temporary file first, the wanted name only when everything is on disk."""

from __future__ import annotations

import errno
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import soundfile
import torch
from torch import Tensor

from soli.audio.formats import BIT_DEPTHS, find_format, find_subtype
from soli.errors import SoliError

_CHUNK = 65536  # libsndfile's Vorbis encoder keeps a whole write on the stack and crashes on a long one
_DISK_FULL_BYTES = 2**20


class AudioWriter:
    """Write one file; in a `with` statement it appears under its name at a clean end, and not at all otherwise.

    Integer formats clip at full scale, and the clipped samples are counted: nothing is rescaled. Float files and the
    lossy encoders get the samples as they are.

    Args:
        path: of the file; its suffix, one of `soli.audio.FORMATS`, chooses the format. An older file is replaced.
        sample_rate: in Hz.
        n_channels: of every block.
        subtype: such as "PCM_24" or "FLOAT"; None for the format's default.
        n_samples: the expected length, if known; a wav file beyond 4 GiB has to be announced, as it then becomes RF64.

    Attributes:
        clipped: how many samples so far, over all channels, were beyond full scale and were clipped.
        n_written: samples so far, per channel.
        bits: per sample of an integer format, None for float and lossy ones.

    Raises:
        SoliError: for a format, subtype, rate or number of channels that cannot be written, and for a place that cannot
            be written to.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        n_channels: int,
        subtype: str | None = None,
        *,
        n_samples: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        self.format = find_format(self.path.suffix)
        self.subtype = find_subtype(self.path.suffix.lower().removeprefix("."), subtype)
        self.bits = BIT_DEPTHS.get(self.subtype) if self.subtype.startswith("PCM") else None
        self.clipped = 0
        self.n_written = 0
        self._check()
        frame_bytes = n_channels * BIT_DEPTHS.get(self.subtype, 8) // 8
        self._limit = None if self.format.max_bytes is None else self.format.max_bytes // frame_bytes
        self._temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        container = self.format.container
        if self._limit is not None and n_samples is not None and n_samples > self._limit:
            container, self._limit = "RF64", None
        self._file = self._create(container)

    def write(self, block: Tensor) -> Tensor:
        """Append a block.

        Args:
            block: `[C T]`, float32 or float64.

        Returns:
            What the file holds of it, `[C T]`: rounded and clipped in integer formats, as it is in others.

        Raises:
            SoliError: when the disk is full, or the file would outgrow its format.
        """
        self.n_written += block.shape[-1]
        if self._limit is not None and self.n_written > self._limit:
            raise SoliError(f"{self.path}: a wav file of unannounced length holds 4 GiB at most; use flac")
        if self.bits is None:
            stored = samples = block.float()
        else:
            # The largest value of an integer file is one step below 1: a sample of exactly 1 is not called clipped.
            self.clipped += int((block.abs() > 1).sum())
            scale = 2.0 ** (self.bits - 1)
            exact = block if self.bits <= 24 else block.double()  # float32 holds integers of up to 24 bits
            stored = (exact * scale).round().clamp(-scale, scale - 1) / scale
            samples = (stored * 2**31).to(torch.int32)  # libsndfile takes the upper bits
        array = samples.detach().cpu().T.contiguous().numpy()
        try:
            for start in range(0, len(array), _CHUNK):
                self._file.write(array[start : start + _CHUNK])
        except (soundfile.LibsndfileError, OSError, AssertionError) as error:  # a short write is an assertion there
            raise self._failure(error) from error
        return stored

    def finish(self) -> None:
        """Complete the temporary file and see that all of it arrived.

        Raises:
            SoliError: when it did not: the disk is full.
        """
        try:
            self._file.close()
            # Encoders write their last bytes in `close`, and libsndfile does not report it when those are lost.
            arrived = soundfile.info(str(self._temporary)).frames if self.n_written else 0
        except (soundfile.LibsndfileError, OSError) as error:
            raise self._failure(error) from error
        if arrived != self.n_written:
            raise self._failure(None)

    def commit(self) -> None:
        """Give the finished file its name.

        Raises:
            SoliError: when the system refuses.
        """
        try:
            self._temporary.replace(self.path)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish and commit; on failure nothing is left.

        Raises:
            SoliError: when the file could not be completed.
        """
        try:
            self.finish()
            self.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Drop the temporary file; what has been committed stays."""
        with suppress(soundfile.LibsndfileError, OSError):  # on a full disk the file cannot be completed
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return itself; the temporary file was opened by the constructor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit after a clean end, discard after any exception, Ctrl-C included."""
        if kind is None:
            self.close()
        else:
            self.discard()

    def _check(self) -> None:
        """Refuse what the format cannot hold."""
        kind = self.path.suffix.removeprefix(".")
        if self.format.sample_rates and self.sample_rate not in self.format.sample_rates:
            allowed = ", ".join(map(str, self.format.sample_rates))
            raise SoliError(f"{self.path}: {kind} cannot hold {self.sample_rate} Hz; allowed: {allowed}")
        if not 1 <= self.n_channels <= self.format.max_channels:
            raise SoliError(
                f"{self.path}: {kind} cannot hold {self.n_channels} channels; allowed: 1 to {self.format.max_channels}"
            )

    def _create(self, container: str) -> soundfile.SoundFile:
        """Open the temporary file."""
        try:
            self._temporary.touch(exist_ok=False)  # Python says why a place cannot be written to, libsndfile does not
            return soundfile.SoundFile(
                str(self._temporary),
                "w",
                self.sample_rate,
                self.n_channels,
                format=container,
                subtype=self.subtype,
                compression_level=self.format.quality,
                bitrate_mode="CONSTANT" if container == "MP3" else None,
            )
        except BaseException as error:  # Ctrl-C as well
            with suppress(OSError):  # its folder is not one
                self._temporary.unlink(missing_ok=True)
            if isinstance(error, (soundfile.LibsndfileError, OSError)):
                raise self._failure(error) from error
            raise

    def _failure(self, error: BaseException | None) -> SoliError:
        """One line for a write that failed; libsndfile says "System error" for a full disk."""
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or "its end is missing"
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        else:
            full = self.path.parent.is_dir() and shutil.disk_usage(self.path.parent).free < _DISK_FULL_BYTES
        return SoliError(f"{self.path}: cannot be written: {'the disk is full' if full else reason.rstrip('.')}")
