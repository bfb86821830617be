"""Separate a recording of any length in constant memory.

Blocks come in, are resampled to the model's rate, cut into overlapping segments, separated in batches, cross-faded,
resampled back, and go out beside the very samples of the mixture they belong to. Of every segment at least
`context_seconds` are thrown away on both sides, except where the recording itself begins and ends: nothing is padded.
"""

from __future__ import annotations

import abc
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from soli.audio import Resampler, SampleFifo
from soli.errors import Cancelled, SoliError
from soli.separator import Separator

_FADE_SECONDS = 0.05
_GRID = 8192  # samples


@dataclass(frozen=True)
class Progress:
    """How far the work on one file has come; what progress callbacks are given.

    Attributes:
        file: the name of the input.
        done_seconds: of audio, separated so far.
        total_seconds: of audio, as the file's header states it; None when unknown.
        elapsed_seconds: since the start, by the wall clock.
    """

    file: str
    done_seconds: float
    total_seconds: float | None
    elapsed_seconds: float
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None when the total is unknown."""
        return min(1.0, self.done_seconds / self.total_seconds) if self.total_seconds else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the speed so far; None when it cannot be told yet."""
        if not self.fraction:
            return None
        return self.elapsed_seconds * (1 - self.fraction) / self.fraction

    def cancel(self) -> None:
        """Stop before the next segment, from the callback or from another thread; `Cancelled` is raised there."""
        self._cancelled.set()


@dataclass(frozen=True)
class Piece:
    """A stretch of the recording, separated.

    Attributes:
        mixture: the input's own samples, `[C T]`.
        stems: `[S C T]`, at the input's rate.
    """

    mixture: Tensor
    stems: Tensor

    @property
    def residual(self) -> Tensor:
        """What no source claims, `[C T]`."""
        return self.mixture - self.stems.sum(dim=0)


def stream(
    separator: Separator,
    blocks: Iterable[Tensor],
    sample_rate: int,
    n_samples: int | None = None,
    *,
    segment_seconds: float | None = None,
    batch_size: int = 1,
    progress: Callable[[Progress], None] | None = None,
    name: str = "",
) -> Iterator[Piece]:
    """Separate a stream of blocks.

    Args:
        separator: its device is where the work is done.
        blocks: float32 tensors `[C T]`, of any lengths.
        sample_rate: of the blocks, in Hz; any.
        n_samples: how many will come, for `Progress.total_seconds` only.
        segment_seconds: length of a segment; None for the separator's own. A recording that is not longer is separated
            in one go.
        batch_size: segments per call of the separator.
        progress: called at the start and after every piece.
        name: of the input, for `Progress.file`.

    Yields:
        Pieces that, put in a row, are exactly as long as the input.

    Raises:
        SoliError: for a segment that is too short for the separator's context, and a batch of less than one.
        Cancelled: after `Progress.cancel`.
    """
    if batch_size < 1:
        raise SoliError(f"batch_size={batch_size}; allowed: 1 or more")
    meter = Meter(progress, name, sample_rate, n_samples)
    mixtures = SampleFifo()
    held = SampleFifo()
    plan = Plan(separator, segment_seconds)
    inner = resampled(_copied(blocks, mixtures), sample_rate, separator.sample_rate)
    segments = _separated(separator, _batched(cut(inner, plan), batch_size))
    stems = resampled(joined(segments, plan.fade), separator.sample_rate, sample_rate)
    meter.advance(0)
    for block in stems:
        held.push(block)
        ready = min(held.n_samples, mixtures.n_samples)
        if ready:
            meter.advance(ready)
            yield Piece(mixtures.pop(ready), held.pop(ready))
    if mixtures.n_samples:  # resampling there and back can end a few samples early
        rest = mixtures.pop(mixtures.n_samples)
        meter.advance(rest.shape[-1])
        yield Piece(rest, rest.new_zeros(len(separator.sources), *rest.shape))


class MonoSeparator(Separator):
    """Separates each channel by itself, and what is longer than a segment in segments, as when a file is streamed.

    A subclass implements `_separate_mono`.
    """

    @abc.abstractmethod
    def _separate_mono(self, mixture: Tensor) -> Tensor:
        """`[B T]`, no longer than a segment -> `[B S T]`."""

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        batch, n_channels, n_samples = mixture.shape
        if n_samples > round(self.segment_seconds * self.sample_rate):
            return torch.stack([self._in_segments(item.float()) for item in mixture])
        stems = self._separate_mono(mixture.float().reshape(-1, n_samples))
        return stems.view(batch, n_channels, -1, n_samples).transpose(1, 2)

    def _in_segments(self, mixture: Tensor) -> Tensor:
        """`[C T]` -> `[S C T]`."""
        pieces = stream(self, [mixture], self.sample_rate)
        return torch.cat([piece.stems for piece in pieces], dim=-1).to(mixture.device)


class Meter:
    """Reports progress and obeys cancellation."""

    def __init__(
        self, callback: Callable[[Progress], None] | None, name: str, sample_rate: int, n_samples: int | None
    ) -> None:
        self._callback = callback
        self._name = name
        self._sample_rate = sample_rate
        self._total = None if n_samples is None else n_samples / sample_rate
        self._cancelled = threading.Event()
        self._began = time.monotonic()
        self._done = 0

    def advance(self, n_samples: int) -> None:
        """Tell the callback, and raise if somebody has cancelled."""
        self._done += n_samples
        if self._callback is not None:
            elapsed = time.monotonic() - self._began
            done = self._done / self._sample_rate
            self._callback(Progress(self._name, done, self._total, elapsed, self._cancelled))
        if self._cancelled.is_set():
            raise Cancelled(f"{self._name or 'separation'}: cancelled")


class Plan:
    """Where segments start and how long they are, in samples at the model's rate."""

    def __init__(self, separator: Separator, segment_seconds: float | None) -> None:
        rate = separator.sample_rate
        seconds = separator.segment_seconds if segment_seconds is None else segment_seconds
        context = round(separator.context_seconds * rate)
        self.length = round(seconds * rate)
        useful = self.length - 2 * context
        self.fade = min(round(_FADE_SECONDS * rate), useful // 4)
        hop = useful - self.fade
        if useful < 1 or hop < 1:
            shortest = 2 * separator.context_seconds
            raise SoliError(
                f"segment_seconds={seconds:g} is too short for this model; allowed: more than {shortest:g} s,"
                " twice its context"
            )
        # Segments start at multiples of a power of two, where the frames of nearly every spectrogram start too: a
        # network then sees the same frames in a segment as in the whole recording. It costs less than 1/16 of the hop.
        self.grid = min(_GRID, 1 << max(0, (hop // 16).bit_length() - 1))
        self.hop = hop - hop % self.grid


def _copied(blocks: Iterable[Tensor], mixtures: SampleFifo) -> Iterator[Tensor]:
    """Pass blocks on and keep them, to pair them with their stems later."""
    for block in blocks:
        mixtures.push(block)
        yield block


def resampled(blocks: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """Resample a stream of `[C T]` or `[S C T]`."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = None
    shape: tuple[int, ...] = ()
    for block in blocks:
        if resampler is None:
            shape = tuple(block.shape[:-1])
            resampler = Resampler(from_rate, to_rate, math.prod(shape))
        yield resampler.process(block.reshape(-1, block.shape[-1])).reshape(*shape, -1)
    if resampler is not None:
        yield resampler.flush().reshape(*shape, -1)


def cut(blocks: Iterable[Tensor], plan: Plan) -> Iterator[tuple[int, Tensor]]:
    """Cut `[C T]` into overlapping segments, each with its start; only the last may be shorter than the others."""
    buffer = SampleFifo()
    dropped = start = 0
    for block in blocks:
        buffer.push(block)
        # One sample beyond the segment proves that it is not the last one.
        while dropped + buffer.n_samples > start + plan.length:
            yield start, buffer.peek(start - dropped, start - dropped + plan.length)
            if start > dropped:  # the last segment may start anywhere after this one's start
                buffer.pop(start - dropped)
                dropped = start
            start += plan.hop
    end = dropped + buffer.n_samples
    if end == 0:
        return
    # The last segment reaches back to be as long as the others, so that it sees as much of the music.
    start = max(0, -(-(end - plan.length) // plan.grid) * plan.grid)
    yield start, buffer.peek(start - dropped, end - dropped)


def _batched(segments: Iterable[tuple[int, Tensor]], batch_size: int) -> Iterator[list[tuple[int, Tensor]]]:
    """Group consecutive segments of one length."""
    batch: list[tuple[int, Tensor]] = []
    for start, segment in segments:
        if batch and (len(batch) == batch_size or batch[0][1].shape != segment.shape):
            yield batch
            batch = []
        batch.append((start, segment))
    if batch:
        yield batch


def _separated(separator: Separator, batches: Iterable[list[tuple[int, Tensor]]]) -> Iterator[tuple[int, Tensor]]:
    """Run the model; yields `[S C T]` with the start of each segment."""
    parameter = next(separator.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    for batch in batches:
        mixture = torch.stack([segment for _, segment in batch]).to(device)
        stems = separator.separate(mixture, separator.sample_rate).stems.detach().cpu()
        yield from zip([start for start, _ in batch], stems, strict=True)


def joined(segments: Iterable[tuple[int, Tensor]], fade: int) -> Iterator[Tensor]:
    """Cross-fade `[S C T]` segments in the middle of their overlaps; the weights sum to one."""
    rising = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(fade) + 0.5) / fade)
    held: tuple[int, Tensor] | None = None
    position = 0
    for start, stems in segments:
        if held is not None:
            held_start, tail = held
            seam = start + (held_start + tail.shape[-1] - start - fade) // 2
            yield tail[..., position - held_start : seam - held_start]
            old = tail[..., seam - held_start : seam - held_start + fade]
            new = stems[..., seam - start : seam - start + fade]
            yield old + (new - old) * rising
            position = seam + fade
        held = (start, stems)
    if held is not None:
        yield held[1][..., position - held[0] :]
