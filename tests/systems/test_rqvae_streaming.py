"""Codes of long recordings, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rqvae_models import RATE, modern, noise, paper
from soli.errors import Cancelled, SoliError
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.streaming import decode_stream, encode_stream


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Sizes of `Local`."""

    sources: tuple[str, ...] = ("low", "high")
    sample_rate: int = 1000
    codebook_size: int = 4096
    samples_per_latent: int = 12
    bits_per_second: float = 2000.0


class Local(CodecSeparator):
    """A codec in which nothing reaches further than its context, and every sum is exact.

    A frame's code is the sum of the integers from 30 samples before to 30 after it; a sample is a sum over 5 frames.
    """

    Config = LocalConfig
    segment_seconds = 1.0
    context_seconds = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.config = LocalConfig()
        self.sources, self.sample_rate = self.config.sources, self.config.sample_rate
        self.nothing = nn.Parameter(torch.zeros(1))
        self.longest = 0

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return torch.stack((mixture, 0 * mixture), dim=1)

    def _encode_mono(self, mixture: Tensor) -> Tensor:
        self.longest = max(self.longest, mixture.shape[-1])
        padded = F.pad(mixture, (30, 30 + -mixture.shape[-1] % 12))
        sums = padded.unfold(-1, 61, 12).sum(dim=-1).long()[:, None]  # [B 1 N]
        return torch.stack((torch.cat((sums, sums // 2), dim=1), torch.cat((sums // 3, sums % 7), dim=1)), dim=1)

    def _decode_mono(self, codes: Tensor) -> Tensor:
        self.longest = max(self.longest, 12 * codes.shape[-1])
        frames = F.pad(codes.sum(dim=2).float(), (2, 2)).unfold(-1, 5, 1).sum(dim=-1)
        return frames.repeat_interleave(12, dim=-1)


def integers(n_samples: int, n_channels: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(n_samples)
    return 2.0 * torch.randint(0, 9, (1, n_samples), generator=generator).expand(n_channels, -1)


@pytest.mark.parametrize("n_samples", [1, 11, 12, 13, 999, 1000, 1001, 1500, 7000, 7001, 7199, 7200, 9999])
def test_segments_give_the_codes_of_the_whole(n_samples: int) -> None:
    codec, mixture = Local(), integers(n_samples)
    whole = codec.encode(mixture, 1000)[0]
    codec.longest = 0
    codes, length = encode_stream(codec, mixture.split(77, dim=-1), 1000)
    assert length == n_samples
    assert torch.equal(codes, whole)
    assert codec.longest <= 1000


@pytest.mark.parametrize("n_samples", [1, 12, 999, 1000, 1001, 1500, 7000, 7001, 7199, 7200, 9999])
@pytest.mark.parametrize("levels", [1, 2])
def test_segments_give_the_stems_of_the_whole(n_samples: int, levels: int) -> None:
    codec = Local()
    codes = codec.encode(integers(n_samples), 1000)[0, :, :levels]
    whole = codec.decode(codes[None], n_samples)[0]
    codec.longest = 0
    pieces = list(decode_stream(codec, codes, n_samples))
    torch.testing.assert_close(torch.cat(pieces, dim=-1), whole)
    assert codec.longest <= 1000
    assert (len(pieces) > 1) == (codes.shape[-1] > 1000 // 12)


def near_sighted(preset: str) -> CodecSeparator:
    """A network with codes whose context is short: no attention, or an LSTM that forgets."""
    codec = modern(n_layers=0) if preset == "modern" else paper()
    codec.get_buffer("network.quantizer.ready" if preset == "modern" else "bottleneck.ready").fill_(True)
    for name, parameter in codec.named_parameters():
        if "lstm" in name:
            parameter.data.mul_(0.0 if "bias" in name else 0.5)
    codec.context_seconds = 0.25
    return codec


@pytest.mark.parametrize("preset", ["modern", "paper"])
@pytest.mark.parametrize("n_samples", [8000, 8192, 8193, 8256, 8257, 23456])
def test_segments_of_a_network_give_the_codes_of_the_whole(preset: str, n_samples: int) -> None:
    codec = near_sighted(preset)
    mixture = noise(1, n_samples)
    whole = codec.encode(mixture, RATE)[0]
    codes, _ = encode_stream(codec, [mixture], RATE, segment_seconds=0.9)
    assert codes.shape == whole.shape
    assert (codes == whole).float().mean() > 0.999
    stems = torch.cat(list(decode_stream(codec, whole, n_samples, segment_seconds=0.9)), dim=-1)
    due = codec.decode(whole[None], n_samples)[0]
    assert stems.shape == (4, 1, n_samples)
    assert (stems - due).square().sum() < 1e-4 * due.square().sum()


def test_other_rates_are_resampled() -> None:
    codec = Local()

    def tone(rate: int) -> Tensor:
        return (400 + 300 * torch.sin(40 * torch.arange(2 * rate) / rate))[None]

    codes, length = encode_stream(codec, tone(44100).split(1000, dim=-1), 44100)
    due = codec.encode(tone(1000), 1000)[0]
    assert (length, codes.shape) == (2000, due.shape)
    assert (codes - due)[0, 0, 5:-5].abs().max() < 0.001 * due[0, 0].max()


def test_work_can_be_watched_and_stopped() -> None:
    codec, seen = Local(), []
    codes, _ = encode_stream(codec, integers(5000).split(500, dim=-1), 1000, 5000, progress=seen.append, name="a")
    assert [event.done_seconds for event in seen] == [0.5 * step for step in range(11)]
    assert (seen[-1].fraction, seen[-1].file) == (1.0, "a")
    seen.clear()
    list(decode_stream(codec, codes, 5000, progress=seen.append))
    assert seen[-1].fraction == 1.0
    assert len(seen) > 3
    with pytest.raises(Cancelled):
        encode_stream(codec, integers(5000).split(500, dim=-1), 1000, progress=lambda event: event.cancel())
    with pytest.raises(Cancelled):
        list(decode_stream(codec, codes, 5000, progress=lambda event: event.cancel()))


def test_segments_too_short_and_empty_recordings_are_refused() -> None:
    codec = Local()
    with pytest.raises(SoliError, match=r"segment_seconds=0\.2 is too short"):
        encode_stream(codec, [integers(5000)], 1000, segment_seconds=0.2)
    with pytest.raises(SoliError, match="no frame of 12 samples"):
        encode_stream(codec, [integers(5000)], 1000, segment_seconds=0.21)
    with pytest.raises(SoliError, match="no samples"):
        encode_stream(codec, [], 1000)
