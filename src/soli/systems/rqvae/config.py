"""What can be set about the modern preset of `rqvae`; every default is the released model's."""

from __future__ import annotations

from dataclasses import dataclass

from soli.nn.quantize import Learning


@dataclass(frozen=True, kw_only=True)
class RQVAEConfig:
    """Modern preset.

    Attributes:
        sources: in the order of the source axis.
        sample_rate: in Hz.
        n_fft: window of the masked spectrogram, 93 ms.
        hop_length: a quarter of the window.
        patch: frames the network takes as one, and gives back as so many.
        bands: `(number, width in bins)` from low to high; together n_fft / 2 bins.
        widths: features at each level of the encoder; every level has half the bands of the one before.
        stem_widths: the same of the decoder, for each source.
        depths: blocks at each level, of both.
        n_features: width of the attention over the whole segment.
        n_layers: of the attention.
        n_heads: of the attention.
        latent_size: D, features of a source's latents that are quantised.
        bypass_size: features of a source's latents that go round the quantiser, with the skips.
        n_codebooks: K, levels for each source.
        codebook_size: V, entries of each level.
        learning: how entries learn.
        level_dropout: probability that an item keeps only its first levels while training.
        partial_stems: whether stems already known are inputs too.
        refined_groups: how many of the band groups get complex masks; above them the shares alone are the mask.
        consistent: whether masks share out the mixture, so that estimates sum to it.
    """

    sources: tuple[str, ...] = ("bass", "drums", "guitar", "piano")
    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 512
    patch: int = 2
    bands: tuple[tuple[int, int], ...] = ((32, 4), (16, 8), (16, 16), (16, 32))
    widths: tuple[int, ...] = (48, 80, 112, 160)
    stem_widths: tuple[int, ...] = (32, 48, 64, 80)
    depths: tuple[int, ...] = (1, 1, 1, 1)
    n_features: int = 384
    n_layers: int = 6
    n_heads: int = 6
    latent_size: int = 64
    bypass_size: int = 64
    n_codebooks: int = 8
    codebook_size: int = 1024
    learning: Learning = "ema"
    level_dropout: float = 0.2
    partial_stems: bool = False
    refined_groups: int = 3
    consistent: bool = True

    @property
    def samples_per_latent(self) -> int:
        """Distance between latents, in samples."""
        return self.hop_length * self.patch

    @property
    def bits_per_second(self) -> float:
        """Of the codes of one source."""
        bits = (self.codebook_size - 1).bit_length()
        return self.sample_rate / self.samples_per_latent * self.n_codebooks * bits
