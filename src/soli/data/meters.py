"""Measuring the files of a track while they are decoded side by side, in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from soli.audio import dbfs
from soli.data.tracks import Header, Stem
from soli.errors import SoliError

SILENT_DBFS = -60.0
"""A stem whose peak is not above this is silent; lossy codecs do not give digital silence back."""

FULL_SCALE, CLIPPED_RUN = 0.9999, 3
"""So many samples in a row at full scale are clipped; the largest 16-bit value is 0.99997."""

_EXCERPT, _RANGE = 2**18, 2**15  # samples: what is compared, and how far stems may be apart
_HEARD, _PEAK = 1e-3, 10.0  # relative to the stem's strongest frequency; in standard deviations, chance reaches 5


class Meter:
    """One file: what was seen of it so far.

    Args:
        stem: the file.

    Attributes:
        header: None where it cannot be read.
        error: why the file cannot be read, empty while it can.
        n_samples: decoded so far, per channel.
        clipped: samples, over all channels, that ended or went on with a run at full scale.
        peak: highest absolute sample.
    """

    def __init__(self, stem: Stem) -> None:
        self.stem = stem
        self.header: Header | None = None
        self.error = ""
        self.n_samples = self.clipped = 0
        self.peak = 0.0
        self._full: np.ndarray | None = None
        self._blocks = stem.blocks()
        try:
            self.header = stem.header()
        except SoliError as error:
            self.error = str(error)

    @property
    def rate(self) -> int:
        """In Hz; 0 for a file that cannot be opened."""
        return self.header.sample_rate if self.header else 0

    @property
    def seconds(self) -> float:
        """Decoded so far."""
        return self.n_samples / self.rate if self.rate else 0.0

    @property
    def silent(self) -> bool:
        """Whether nothing louder than `SILENT_DBFS` was seen."""
        return dbfs(self.peak) <= SILENT_DBFS

    def next(self) -> np.ndarray | None:
        """Decode the next block.

        Returns:
            float32 `[C T]`; None at the end and after an error.
        """
        if self.error:
            return None
        try:
            block = next(self._blocks, None)
        except SoliError as error:
            self.error = str(error)
            return None
        if block is not None:
            self._see(block)
        return block

    def _see(self, block: np.ndarray) -> None:
        size = np.abs(block)
        highest = float(size.max(initial=0.0))
        self.n_samples += block.shape[1]
        self.peak = max(self.peak, highest)
        if highest < FULL_SCALE:
            self._full = None
            return
        full = size >= FULL_SCALE
        if self._full is not None:  # a run may lie across two blocks
            full = np.concatenate((self._full, full), axis=1)
        if full.shape[1] >= CLIPPED_RUN:
            self.clipped += int(np.lib.stride_tricks.sliding_window_view(full, CLIPPED_RUN, axis=1).all(-1).sum())
        self._full = full[:, -(CLIPPED_RUN - 1) :]


def run(meters: Sequence[Meter]) -> Iterator[list[np.ndarray | None]]:
    """Decode files side by side, to the end of the longest.

    Args:
        meters: of the files.

    Yields:
        The next block of each, None for those that have ended.
    """
    blocks = [meter.next() for meter in meters]
    while any(block is not None for block in blocks):
        yield blocks
        blocks = [meter.next() for meter in meters]


def residual_db(mixture: Meter | None, stems: Sequence[Meter]) -> float | None:
    """Decode all files of a track, and compare the mixture with the sum of its stems.

    Args:
        mixture: None where there is no file of it.
        stems: all of the track.

    Returns:
        Energy of their difference relative to the mixture, in dB; None where there is no mixture, it is silent, or a
        file of them cannot be read or has another rate or number of channels.
    """
    meters = [*([] if mixture is None else [mixture]), *stems]
    total = missing = 0.0
    for blocks in run(meters):
        if mixture is not None and stems and _alike(meters):
            heard, *parts = _fill(blocks)
            total += float(np.square(heard, dtype=np.float64).sum())
            missing += float(np.square(heard - sum(parts), dtype=np.float64).sum())
    if not total or not _alike(meters):
        return None
    return 10 * float(np.log10(max(missing / total, 1e-20)))


def delay(mixture: Stem, stem: Stem, start: int) -> int:
    """Find by cross-correlation at which place of the mixture a stem is.

    Args:
        mixture: of the track.
        stem: of the track.
        start: first of the 2**18 samples that are compared.

    Returns:
        By how many samples the stem comes too late, from -32768 to 32768; 0 when it fits best as it is, or nowhere.

    Raises:
        SoliError: for a file that cannot be read.
    """
    whole, part = (np.fft.rfft(_excerpt(file, start), 2 * _EXCERPT) for file in (mixture, stem))
    cross = np.conj(whole) * part
    # Phases alone, of the frequencies that the stem has: loud tones of other stems would hide the one sharp peak.
    heard = (np.abs(part) > _HEARD * np.abs(part).max()) & (np.abs(cross) > 0)
    phases = np.divide(cross, np.abs(cross), out=np.zeros_like(cross), where=heard)
    likeness = np.roll(np.fft.irfft(phases, 2 * _EXCERPT), _RANGE)[: 2 * _RANGE + 1]
    return int(likeness.argmax()) - _RANGE if likeness.max() > _PEAK * likeness.std() else 0


def _alike(meters: Sequence[Meter]) -> bool:
    """Whether a sum of these files has a meaning."""
    headers = [meter.header for meter in meters if meter.header is not None and not meter.error]
    channels = {header.n_channels for header in headers} - {1}
    return len(headers) == len(meters) and len(channels) <= 1 and len({header.sample_rate for header in headers}) == 1


def _fill(blocks: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Blocks brought to one length: what is not there is silence; mono ones will spread over the channels."""
    found = [np.zeros((1, 0), np.float32) if block is None else block for block in blocks]
    n_channels, n_samples = (max(block.shape[axis] for block in found) for axis in (0, 1))
    padded = [np.pad(block, ((0, 0), (0, n_samples - block.shape[1]))) for block in found]
    return [np.broadcast_to(block, (n_channels, n_samples)) for block in padded]


def _excerpt(stem: Stem, start: int) -> np.ndarray:
    """Mixed down, always of the same length."""
    block = next(stem.blocks(_EXCERPT, start), np.zeros((1, 0), np.float32)).mean(axis=0)
    return np.pad(block, (0, _EXCERPT - len(block)))
