"""The codec and the transformer that plays its codes, as one model: it separates as the codec does, and makes music."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.separator import Estimates, Separator, check_waveform
from soli.streaming import Meter, Progress
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.music.codec import quantizer_of
from soli.systems.rqvae.music.config import MusicConfig
from soli.systems.rqvae.music.network import RQTransformer
from soli.systems.rqvae.music.sampling import WANTED, Sampling, complete
from soli.systems.rqvae.streaming import decode_stream, encode_stream

LONGEST_SECONDS = 3600.0
"""Of new music: all of it is held in memory."""


class RQVAEMusic(Separator):
    """Generative model of music in stems.

    The weights are the transformer's alone; `attach` adds the codec, which `soli.load` finds by its name and checks.

    Args:
        config: sizes, and the codec.
    """

    Config: ClassVar[type[MusicConfig]] = MusicConfig

    def __init__(self, config: MusicConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.codec.sources, config.codec.sample_rate
        self.transformer = RQTransformer(config)
        self._codec: tuple[CodecSeparator, ...] = ()  # in a tuple: its weights are not this model's

    def attach(self, codec: CodecSeparator) -> None:
        """Give the model its codec.

        Args:
            codec: on the same device, in evaluation mode.
        """
        self._codec = (codec,)
        self.transformer.take_vectors(quantizer_of(codec))
        self.segment_seconds, self.context_seconds = codec.segment_seconds, codec.context_seconds

    @property
    def codec(self) -> CodecSeparator:
        """What turns sound into codes and back."""
        if not self._codec:
            raise SoliError("this model has no codec; load it with soli.load, or attach one")
        return self._codec[0]

    def _separate(self, mixture: Tensor) -> Tensor:
        return self.codec._separate(mixture)

    def sample(
        self,
        seconds: float,
        seed: int,
        sampling: Sampling | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Estimates:
        """Make music out of nothing.

        Args:
            seconds: length.
            seed: the same seed gives the same music.
            sampling: how codes are drawn.
            progress: called with a `Progress` before the first frame is drawn and after each of them.

        Returns:
            Stems `[1 T]` and the mixture that they sum to.

        Raises:
            SoliError: for a length that is not above zero, or too long.
            Cancelled: after `Progress.cancel`.
        """
        n_samples = self._n_samples(seconds)
        return self._played(self._wanted(self._n_frames(n_samples)), n_samples, seed, sampling, progress)

    def continued(
        self,
        song: Tensor,
        sample_rate: int,
        seconds: float,
        seed: int,
        sampling: Sampling | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Estimates:
        """Go on where a song ends.

        The last frames of the song are drawn anew: their codes have heard that nothing follows, and after an ending
        comes another beginning.

        Args:
            song: `[C T]`.
            sample_rate: of the song, in Hz.
            seconds: of new music.
            seed: the same seed gives the same music.
            sampling: how codes are drawn.
            progress: called with a `Progress` before the first frame is drawn and after each of them.

        Returns:
            Stems `[1 T]` of the song, as the codec plays it, and of what follows.

        Raises:
            SoliError: for a wrong rate or shape, or a length that is not above zero, or too long.
            Cancelled: after `Progress.cancel`.
        """
        n_new = self._n_samples(seconds)
        n_given = max(song.shape[-1] // self.config.codec.samples_per_frame - 2, 0)
        given = self._encoded(song, sample_rate)[..., :n_given]
        n_samples = song.shape[-1] + n_new
        wanted = self._wanted(self._n_frames(n_samples) - n_given)
        return self._played(torch.cat((given, wanted), dim=-1), n_samples, seed, sampling, progress)

    def accompanied(
        self,
        song: Tensor,
        sample_rate: int,
        keep: Collection[str],
        seed: int,
        sampling: Sampling | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Estimates:
        """Keep some stems of a song and make up the others.

        Args:
            song: `[C T]`, a mixture.
            sample_rate: of the song, in Hz.
            keep: the stems that stay.
            seed: the same seed gives the same music.
            sampling: how codes are drawn.
            progress: called with a `Progress` before the first frame is drawn and after each of them.

        Returns:
            Stems `[1 T]`, those kept as the codec plays them.

        Raises:
            SoliError: for a wrong rate or shape, or stems that the model does not have.
            Cancelled: after `Progress.cancel`.
        """
        reference = self.config.codec
        if reference.n_stems != len(self.sources):
            raise SoliError("this codec has one sequence of codes for all sources; none of them can be kept alone")
        if not keep or not set(keep) < set(self.sources):
            allowed = ", ".join(self.sources)
            raise SoliError(f"keep {', '.join(keep) or 'nothing'}; allowed: some but not all of {allowed}")
        codes = self._encoded(song, sample_rate)
        codes[:, [index for index, name in enumerate(self.sources) if name not in keep]] = WANTED
        return self._played(codes, song.shape[-1], seed, sampling, progress)

    def _played(
        self,
        codes: Tensor,
        n_samples: int,
        seed: int,
        sampling: Sampling | None,
        progress: Callable[[Progress], None] | None,
    ) -> Estimates:
        """Draw what is missing of codes `[1 S K N]` and decode them."""
        n_drawn, step = int((codes == WANTED).any(dim=(0, 1, 2)).sum()), self.config.codec.samples_per_frame
        meter = Meter(progress, "music", self.sample_rate, n_drawn * step)
        meter.advance(0)
        after_frame = partial(meter.advance, step)
        codes = complete(self.transformer, codes, sampling or Sampling(), seed, after_frame)[0].cpu()
        stems = torch.cat(list(decode_stream(self.codec, codes, n_samples)), dim=-1)
        return Estimates(
            stems,
            sources=self.sources,
            sample_rate=self.sample_rate,
            mixture=stems.sum(dim=0),
            info={"codes": codes},
        )

    def _encoded(self, song: Tensor, sample_rate: int) -> Tensor:
        """`[1 S K N]`."""
        check_waveform(song, sample_rate, self.sample_rate)
        if song.ndim != 2:
            raise SoliError(f"song of shape {list(song.shape)}; allowed: [C T]")
        codes, _ = encode_stream(self.codec, [song.float()], sample_rate)
        return codes[None].to(self.transformer.bias.device)

    def _wanted(self, n_frames: int) -> Tensor:
        codec = self.config.codec
        shape = (1, codec.n_stems, codec.n_codebooks, n_frames)
        return torch.full(shape, WANTED, device=self.transformer.bias.device)

    def _n_samples(self, seconds: float) -> int:
        if not (0 < seconds <= LONGEST_SECONDS and round(seconds * self.sample_rate) > 0):
            raise SoliError(f"seconds={seconds}; allowed: above 0, up to {LONGEST_SECONDS:g}")
        return round(seconds * self.sample_rate)

    def _n_frames(self, n_samples: int) -> int:
        """Enough for so many samples: the first and the last frame may lie on the edges of what they stand for."""
        return n_samples // self.config.codec.samples_per_frame + 2
