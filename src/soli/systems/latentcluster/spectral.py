"""What the presets that mask spectrograms share: a mixture looked at, latents decoded, and its sources filtered out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.frames import analyse, synthesise
from soli.dsp.scale import USUAL_LEVEL
from soli.systems.latentcluster.config import SpectralConfig
from soli.systems.latentcluster.discoverer import LatentDiscoverer
from soli.systems.latentcluster.network import Decoder, mixture_planes
from soli.systems.latentcluster.wiener import cluster_wiener

C = TypeVar("C", bound=SpectralConfig)
_PIECE, _CONTEXT, _DECODER_CONTEXT = 512, 128, 16  # steps of the latents


class View(NamedTuple):
    """A mono mixture as the network sees it.

    Attributes:
        planes: `[B 2 N F-1]`.
        spectrogram: complex `[B N F]`, at the usual level.
        level: what the mixture was divided by to be at the usual level, `[B 1]`.
    """

    planes: Tensor
    spectrogram: Tensor
    level: Tensor


class SpectralDiscoverer(LatentDiscoverer, Generic[C]):
    """Base of the modern and the slots preset.

    Attributes:
        config: of the spectrogram.
        decoder: of the latents.
    """

    config: C
    decoder: Decoder

    def view(self, mixture: Tensor) -> View:
        """Look at mono mixtures.

        Args:
            mixture: `[B T]`.

        Returns:
            Planes and spectrogram at the usual level, and the level itself.
        """
        config = self.config
        level = mixture.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
        level = torch.where(level > 1e-6, level, 1.0)
        mixture = F.pad(mixture / level, (0, -mixture.shape[-1] % config.hop_length))
        spectrogram = analyse(mixture, config.n_fft, config.hop_length)
        return View(mixture_planes(mixture, spectrogram, config), spectrogram, level)

    def decode(self, latents: Tensor, n_frames: int) -> Tensor:
        """Square roots of the magnitudes of each source, in pieces.

        Args:
            latents: `[S K M L]`.
            n_frames: N.

        Returns:
            `[S N F]`.
        """
        patch = self.config.patch

        def decoded(piece: Tensor) -> Tensor:
            return self.decoder(piece, piece.shape[2] * patch).unflatten(1, (-1, patch))

        return in_pieces(decoded, latents, 2, 1, _DECODER_CONTEXT).flatten(1, 2)[:, :n_frames]

    def filtered(self, roots: Tensor, mixture: Tensor) -> Tensor:
        """Stems of a mixture from the magnitudes of its sources.

        Args:
            roots: `[S N F]`.
            mixture: `[C T]`.

        Returns:
            `[S C T]`; their sum is the mixture, to the last bits.
        """
        config, n_samples = self.config, mixture.shape[-1]
        if len(roots) == 1:
            return mixture[None].clone()
        spectrogram = analyse(mixture, config.n_fft, config.hop_length)
        masked = cluster_wiener(roots, spectrogram)[:-1]
        stems = synthesise(masked, config.n_fft, config.hop_length, n_samples)
        return torch.cat((stems, (mixture - stems.sum(dim=0))[None]))


def encode_in_pieces(encode: Callable[[Tensor], Tensor], planes: Tensor, patch: int) -> Tensor:
    """Latents of a long mixture, each piece encoded with its context.

    Args:
        encode: planes `[B 2 n F-1]` -> `[B ... m L]`, m = n / patch.
        planes: `[B 2 N F-1]`.
        patch: frames of a step.

    Returns:
        `[B ... M L]`.
    """
    padded = F.pad(planes, (0, 0, 0, -planes.shape[2] % patch)).unflatten(2, (-1, patch))
    return in_pieces(lambda piece: encode(piece.flatten(2, 3)), padded, 2, -2, _CONTEXT)


def in_pieces(function: Callable[[Tensor], Tensor], x: Tensor, axis: int, out_axis: int, context: int) -> Tensor:
    """Apply a function with a bounded reach to a long tensor.

    Args:
        function: keeps the length of the axis.
        x: any shape.
        axis: of the length in `x`.
        out_axis: of the length in what the function gives.
        context: entries on either side that are thrown away again.

    Returns:
        What the function would give for all at once.
    """
    length = x.shape[axis]
    found = []
    for start in range(0, length, _PIECE):
        first, last = max(start - context, 0), min(start + _PIECE + context, length)
        out = function(x.narrow(axis, first, last - first))
        found.append(out.narrow(out_axis, start - first, min(_PIECE, length - start)))
    return torch.cat(found, dim=out_axis)
