"""What music needs to know of a codec."""

from __future__ import annotations

from soli.errors import SoliError
from soli.separator import Separator
from soli.systems.rqvae.bottleneck import StemQuantizer
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.music.config import CodecReference


def as_codec(model: Separator, name: str) -> CodecSeparator:
    """See that a model can play codes.

    Args:
        model: any.
        name: for the error.

    Returns:
        The same model.

    Raises:
        SoliError: for a model without codes.
    """
    if not isinstance(model, CodecSeparator) or not _quantizers(model):
        raise SoliError(f"{name}: this model has no codes; music needs a codec, such as one of rqvae")
    return model


def quantizer_of(codec: CodecSeparator) -> StemQuantizer:
    """The quantiser of either preset."""
    return _quantizers(codec)[0]


def refer(codec: CodecSeparator, name: str, sha256: str) -> CodecReference:
    """Describe a codec.

    Args:
        codec: whose codes are to be played.
        name: see `CodecReference`.
        sha256: of its weights.

    Returns:
        The reference.
    """
    quantizer = quantizer_of(codec)
    return CodecReference(
        name=name,
        sha256=sha256,
        sources=codec.sources,
        sample_rate=codec.sample_rate,
        samples_per_frame=codec.samples_per_frame,
        n_stems=len(quantizer.stems),
        n_codebooks=quantizer.n_codebooks,
        codebook_size=codec.codebook_size,
        latent_size=quantizer.stems[0].n_features,
    )


def _quantizers(codec: Separator) -> list[StemQuantizer]:
    return [module for module in codec.modules() if isinstance(module, StemQuantizer)]
