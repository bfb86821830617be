"""What both presets are: separators of mono signals that also turn a mixture into codes, and codes into stems."""

from __future__ import annotations

import abc
from typing import Protocol, cast

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.separator import check_waveform
from soli.streaming import MonoSeparator


class _Sizes(Protocol):
    """What the configs of both presets say of their codes."""

    n_codebooks: int
    codebook_size: int

    @property
    def samples_per_latent(self) -> int: ...

    @property
    def bits_per_second(self) -> float: ...


class CodecSeparator(MonoSeparator):
    """Separates each channel on its own; encodes a mixture and decodes codes.

    A subclass implements `_separate_mono`, `_encode_mono` and `_decode_mono`.
    """

    @property
    def samples_per_frame(self) -> int:
        """Distance between frames of codes, in samples; the first frame starts at the first sample."""
        return self._sizes.samples_per_latent

    @property
    def n_codebooks(self) -> int:
        """K, levels of codes; 0 for a model without codes."""
        return self._sizes.n_codebooks

    @property
    def codebook_size(self) -> int:
        """V, entries of every codebook."""
        return self._sizes.codebook_size

    @property
    def bits_per_second(self) -> float:
        """Of one sequence of codes."""
        return self._sizes.bits_per_second

    @property
    def _sizes(self) -> _Sizes:
        return cast(_Sizes, self.config)

    @abc.abstractmethod
    def _encode_mono(self, mixture: Tensor) -> Tensor:
        """`[B T]` -> codes `[B S K N]`, with S = 1 where one sequence stands for all sources."""

    @abc.abstractmethod
    def _decode_mono(self, codes: Tensor) -> Tensor:
        """Codes `[B S K' N]` of the first levels -> `[B S T]`."""

    @torch.inference_mode()
    def encode(self, mixture: Tensor, sample_rate: int) -> Tensor:
        """Turn a mixture into codes, in one go; long recordings are for `streaming.encode_stream`.

        Args:
            mixture: `[C T]`, or `[B C T]` for a batch; its channels are mixed down to one.
            sample_rate: in Hz.

        Returns:
            `[B S K N]`: source, codebook, frame; S is 1 where one sequence stands for all sources.

        Raises:
            SoliError: for a wrong rate or shape, or a model without codebooks.
        """
        check_waveform(mixture, sample_rate, self.sample_rate)
        batch = mixture if mixture.ndim == 3 else mixture[None]
        return self._encode_mono(batch.float().mean(dim=1))

    @torch.inference_mode()
    def decode(self, codes: Tensor, n_samples: int | None = None) -> Tensor:
        """Turn codes into stems; nothing else of the mixture is needed.

        Args:
            codes: `[B S K' N]` as `encode` returns them, all levels or the first few.
            n_samples: length of the mixture; by default that of all frames.

        Returns:
            `[B S C T]` with one channel.

        Raises:
            SoliError: for codes this model does not have.
        """
        if codes.ndim != 4 or 0 in codes.shape or codes.is_floating_point():
            raise SoliError(f"codes {list(codes.shape)} of {codes.dtype}; allowed: integers [B S K N]")
        return self._decode_mono(codes)[:, :, None, :n_samples]
