"""Codes of recordings of any length, and stems from them, segment by segment.

Segments are as long as in `soli.streaming`, but start where a frame of codes starts, so that a frame means the same
samples in a segment as in the whole recording. Of every segment at least `context_seconds` are thrown away on both
sides, except where the recording itself begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.streaming import Meter, Plan, Progress, cut, joined, resampled
from soli.systems.rqvae.codec import CodecSeparator


def encode_stream(
    codec: CodecSeparator,
    blocks: Iterable[Tensor],
    sample_rate: int,
    n_samples: int | None = None,
    *,
    segment_seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    name: str = "",
) -> tuple[Tensor, int]:
    """Encode a stream of blocks; the codes stay in memory, the sound does not.

    Args:
        codec: its device is where the work is done.
        blocks: float32 tensors `[C T]`, of any lengths; their channels are mixed down to one.
        sample_rate: of the blocks, in Hz; any.
        n_samples: how many will come, for `Progress.total_seconds` only.
        segment_seconds: length of a segment; None for the codec's own. A recording that is not longer is encoded in
            one go.
        progress: called at the start and after every block.
        name: of the input, for `Progress.file`.

    Returns:
        Codes `[S K N]` on the CPU, and the length of the recording in samples at the codec's rate.

    Raises:
        SoliError: for a segment that is too short, no samples, or a model without codebooks.
        Cancelled: after `Progress.cancel`.
    """
    meter = Meter(progress, name, sample_rate, n_samples)
    meter.advance(0)
    mono = resampled(_mixed_down(blocks, meter), sample_rate, codec.sample_rate)
    device = next(codec.parameters()).device
    parts: list[Tensor] = []
    first = end = length = 0  # frames: the last part's first, and where it ends; samples
    for start, segment in cut(mono, _plan(codec, segment_seconds)):
        codes = codec.encode(segment.to(device), codec.sample_rate)[0].cpu()
        start_frame, length = start // codec.samples_per_frame, start + segment.shape[-1]
        if parts:
            seam = (start_frame + end) // 2
            parts[-1] = parts[-1][..., : seam - first]
            first, codes = seam, codes[..., seam - start_frame :]
        parts.append(codes)
        end = first + codes.shape[-1]
    if not parts:
        raise SoliError(f"{name or 'the recording'} has no samples to encode")
    return torch.cat(parts, dim=-1), length


def decode_stream(
    codec: CodecSeparator,
    codes: Tensor,
    n_samples: int,
    *,
    segment_seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    name: str = "",
) -> Iterator[Tensor]:
    """Decode codes of any length.

    Args:
        codec: its device is where the work is done.
        codes: `[S K' N]`, all levels or the first few.
        n_samples: length of the recording, at the codec's rate.
        segment_seconds: length of a segment; None for the codec's own. Codes that do not last longer are decoded in
            one go.
        progress: called at the start and after every piece.
        name: of the codes, for `Progress.file`.

    Yields:
        Pieces of the stems `[S C T]`, with one channel, to be put in a row.

    Raises:
        SoliError: for a segment that is too short, or codes the model does not have.
        Cancelled: after `Progress.cancel`.
    """
    meter = Meter(progress, name, codec.sample_rate, n_samples)
    meter.advance(0)
    plan = _plan(codec, segment_seconds)
    for piece in joined(_decoded(codec, codes, n_samples, plan), plan.fade):
        yield piece
        meter.advance(piece.shape[-1])


def _plan(codec: CodecSeparator, segment_seconds: float | None) -> Plan:
    """Segments whose starts and lengths are multiples of `samples_per_frame`."""
    plan, frame = Plan(codec, segment_seconds), codec.samples_per_frame
    surplus = plan.length % frame
    plan.grid, plan.length, plan.hop = frame, plan.length - surplus, (plan.hop - surplus) // frame * frame
    if plan.hop < frame:
        raise SoliError(
            f"a segment of {plan.length / codec.sample_rate:g} s holds no frame of {frame} samples beside its context"
        )
    return plan


def _mixed_down(blocks: Iterable[Tensor], meter: Meter) -> Iterator[Tensor]:
    """`[C T]` -> `[1 T]`, and a report of each."""
    for block in blocks:
        yield block.mean(dim=0, keepdim=True)
        meter.advance(block.shape[-1])


def _decoded(codec: CodecSeparator, codes: Tensor, n_samples: int, plan: Plan) -> Iterator[tuple[int, Tensor]]:
    """Stems `[S 1 T]` of each segment, and the sample where it starts."""
    device = next(codec.parameters()).device
    length, hop = plan.length // plan.grid, plan.hop // plan.grid
    last = max(0, codes.shape[-1] - length)  # reaches back to be as long as the others
    for frame in [*range(0, last, hop), last]:
        start = frame * plan.grid
        segment = codes[None, ..., frame : frame + length].to(device)
        yield start, codec.decode(segment, n_samples - start)[0].cpu()
