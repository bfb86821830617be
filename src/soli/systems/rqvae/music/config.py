"""What can be set about the transformer that plays a codec's codes."""

from __future__ import annotations

from dataclasses import dataclass, fields

from soli.errors import SoliError


@dataclass(frozen=True, kw_only=True)
class CodecReference:
    """Which codec the codes belong to, and what they look like.

    Attributes:
        name: a bundled model, or a folder, relative to that of the music model.
        sha256: of the codec's weights.
        sources: in the order of the source axis.
        sample_rate: in Hz.
        samples_per_frame: distance between frames of codes.
        n_stems: S, sequences of codes; 1 where one stands for all sources.
        n_codebooks: K, levels for each stem.
        codebook_size: V, entries of each level.
        latent_size: E, features of an entry.
    """

    name: str
    sha256: str
    sources: tuple[str, ...]
    sample_rate: int
    samples_per_frame: int
    n_stems: int
    n_codebooks: int
    codebook_size: int
    latent_size: int

    @property
    def frames_per_second(self) -> float:
        """Of codes."""
        return self.sample_rate / self.samples_per_frame


@dataclass(frozen=True, kw_only=True)
class MusicConfig:
    """The two transformers; every default is the released model's.

    Attributes:
        codec: whose codes are played.
        n_frames: the longest memory, in frames of codes; 24 s of the modern codec.
        n_features: width of the spatial transformer, over frames.
        n_layers: of the spatial transformer.
        n_heads: of the spatial transformer.
        depth_features: width of the depth transformer, over the codes of one frame.
        depth_layers: of the depth transformer.
        depth_heads: of the depth transformer.
    """

    codec: CodecReference
    n_frames: int = 512
    n_features: int = 256
    n_layers: int = 6
    n_heads: int = 4
    depth_features: int = 192
    depth_layers: int = 3
    depth_heads: int = 4

    def __post_init__(self) -> None:
        for name in [field.name for field in fields(self) if field.name != "codec"]:
            if getattr(self, name) < 1:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 1")
        for heads, width in (("n_heads", self.n_features), ("depth_heads", self.depth_features)):
            n_heads = getattr(self, heads)
            if width % (2 * n_heads):
                raise SoliError(f"{heads} = {n_heads}; {width} features do not divide into heads of even width")
