"""Which instruments sound in a recording, and when, asked of their priors on files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soli.audio import AudioReader, Resampler
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import Meter, Progress
from soli.systems.flowprior.separator import FlowPrior
from soli.zoo import load

_WINDOWS = 16  # judged at a time
_SOUNDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What priors say of a recording, window by window; S instruments, W windows that overlap by half.

    Attributes:
        source: the recording.
        seconds: its length.
        instruments: S names.
        window_seconds: length of a window.
        starts: of the windows, in seconds, `[W]`.
        probability: that the instrument sounds, by the calibration of its prior, `[S W]`.
        log_likelihood: of what was extracted as a solo of the instrument, nats for each band and frame, `[S W]`.
        deviations: the same in deviations from that of the instrument's solos, cut at -20 and 5, `[S W]`.
        share_db: its energy relative to the mixture's around it, at least -60, `[S W]`.
    """

    source: Path
    seconds: float
    instruments: tuple[str, ...]
    window_seconds: float
    starts: np.ndarray
    probability: np.ndarray
    log_likelihood: np.ndarray
    deviations: np.ndarray
    share_db: np.ndarray

    def spans(self, instrument: str) -> list[tuple[float, float]]:
        """When an instrument is more likely to sound than not.

        Args:
            instrument: one of `instruments`.

        Returns:
            Start and end of each stretch, in seconds; windows that touch are one stretch, none ends after the
            recording.
        """
        found: list[tuple[float, float]] = []
        for start, chance in zip(self.starts, self.probability[self.instruments.index(instrument)], strict=True):
            end = min(float(start) + self.window_seconds, self.seconds)
            if chance >= _SOUNDS:
                joined = found and start <= found[-1][1]
                found[-1:] = [(found[-1][0], end)] if joined else [*found[-1:], (float(start), end)]
        return found

    def sounding(self, instrument: str) -> float:
        """Share of the recording within `spans`.

        Args:
            instrument: one of `instruments`.

        Returns:
            Between 0 and 1.
        """
        return sum(end - start for start, end in self.spans(instrument)) / self.seconds


@torch.inference_mode()
def find_presence(
    source: str | Path,
    *,
    model: str | Separator = "flowprior",
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> Presence:
    """Ask priors of a recording of any length, in constant memory.

    Args:
        source: any audio or video file, mixed down to mono.
        model: a name such as `flowprior` or `flowprior:drums,my/cello`, or a separator.
        device: such as "cpu" or "cuda".
        progress: called with a `Progress` at the start and after every piece.

    Returns:
        What they say; the last window may reach beyond the end of the recording, into silence.

    Raises:
        SoliError: for a file that cannot be read, or a model without priors of the modern preset.
        Cancelled: after `Progress.cancel`.
    """
    separator = load(model, device) if isinstance(model, str) else model
    if not isinstance(separator, FlowPrior):
        asked = model if isinstance(model, str) else type(model).__name__
        raise SoliError(
            f"{asked} has no likelihoods to ask for; allowed: flowprior, flowprior:NAME,... and their folders"
        )
    lengths: list[int] = []
    rate, step = separator.sample_rate, separator.window_samples // 2
    with AudioReader(source) as reader:
        meter = Meter(progress, str(source), reader.sample_rate, reader.n_samples)
        meter.advance(0)
        found = [judged.cpu() for judged in judge(separator, _mono(reader, rate, meter, lengths))]
    probability, likelihood, deviations, share = torch.cat(found, dim=-1).numpy()
    return Presence(
        source=Path(source),
        seconds=sum(lengths) / reader.sample_rate,
        instruments=separator.sources,
        window_seconds=separator.window_samples / rate,
        starts=np.arange(probability.shape[-1]) * step / rate,
        probability=probability,
        log_likelihood=likelihood,
        deviations=deviations,
        share_db=share,
    )


def judge(separator: FlowPrior, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Ask priors of a mono waveform of any length, in pieces.

    Args:
        separator: with calibrated priors.
        blocks: `[T]` each, one after the other, at the separator's rate.

    Yields:
        Probability, likelihood, the same in deviations, and share of the energy in dB, `[4 S W]`, of the next windows.
    """
    for piece in _pieces(blocks, separator.window_samples // 2):
        found = separator.presence(piece[None].to(separator.bands.filters.device))
        probability, likelihood, share = (values[0] for values in found)
        rows = zip(separator.priors, likelihood, share, strict=True)
        deviations = torch.stack([prior.features(likely, part)[:, 1] for prior, likely, part in rows])
        yield torch.stack((probability, likelihood, deviations, share))


def _mono(reader: AudioReader, rate: int, meter: Meter, lengths: list[int]) -> Iterator[Tensor]:
    """The recording's blocks `[T]` at a rate; how long each was before is added to `lengths`."""
    resampler = Resampler(reader.sample_rate, rate, 1)
    for block in reader.blocks():
        yield resampler.process(block.mean(dim=0, keepdim=True))[0]
        lengths.append(block.shape[-1])
        meter.advance(block.shape[-1])
    yield resampler.flush()[0]


def _pieces(blocks: Iterable[Tensor], step: int) -> Iterator[Tensor]:
    """Pieces of whole windows `[T]`, each of which begins half a window before the end of the one before it."""
    length = (_WINDOWS + 1) * step
    kept = torch.zeros(0)
    first = True
    for block in blocks:
        kept = torch.cat((kept, block))
        while len(kept) >= length:
            yield kept[:length]
            kept, first = kept[length - step :], False
    n_steps = max(-(-len(kept) // step), 2)
    if first or len(kept) > step:
        yield torch.nn.functional.pad(kept, (0, n_steps * step - len(kept)))
