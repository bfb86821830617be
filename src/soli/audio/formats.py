"""What can be written: one table, and how an output format is chosen from an input."""

from __future__ import annotations

import math
from dataclasses import dataclass

from soli.errors import SoliError

SILENCE_DBFS = -90.0
"""A signal whose peak is not above this counts as silent: one step of a 16-bit file is -90.3 dBFS."""

_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

BIT_DEPTHS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}
"""Bits per sample of libsndfile's subtypes; what is not here (ADPCM, Vorbis, AAC ...) has no bit depth."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One writable file format.

    Attributes:
        container: libsndfile's name.
        subtypes: allowed encodings, the default first.
        sample_rates: allowed rates in Hz; empty means any.
        max_channels: of the encoder.
        quality: libsndfile's compression level, 0 (largest file) to 1; None leaves the encoder's default.
        max_bytes: of audio data that the container can address; None means no limit that matters.
    """

    container: str
    subtypes: tuple[str, ...]
    sample_rates: tuple[int, ...] = ()
    max_channels: int = 1024
    quality: float | None = None
    max_bytes: int | None = None

    def nearest_rate(self, sample_rate: int) -> int:
        """The allowed rate to use for a signal at `sample_rate` Hz: the next one up, else the highest."""
        if not self.sample_rates or sample_rate in self.sample_rates:
            return sample_rate
        return next((rate for rate in self.sample_rates if rate > sample_rate), self.sample_rates[-1])


# The lossy encoders run at about 270 (ogg), 256 (opus) and 320 kbit/s (mp3), stereo: stems get processed further.
FORMATS = {
    "wav": Format(container="WAV", subtypes=("PCM_16", "PCM_24", "PCM_32", "FLOAT"), max_bytes=2**32 - 2**16),
    "flac": Format(container="FLAC", subtypes=("PCM_16", "PCM_24"), max_channels=8),
    "ogg": Format(container="OGG", subtypes=("VORBIS",), max_channels=255, quality=0.2),
    "opus": Format(
        container="OGG",
        subtypes=("OPUS",),
        sample_rates=(8000, 12000, 16000, 24000, 48000),
        max_channels=8,
        quality=0.5,
    ),
    "mp3": Format(container="MP3", subtypes=("MPEG_LAYER_III",), sample_rates=_MPEG_RATES, max_channels=2, quality=0.0),
}
"""Every format soli writes, by file extension."""


def find_format(extension: str) -> Format:
    """Look a format up.

    Args:
        extension: with or without the dot, in any case.

    Returns:
        The entry of `FORMATS`.

    Raises:
        SoliError: for an extension that is not in the table.
    """
    key = extension.lower().removeprefix(".")
    if key not in FORMATS:
        raise SoliError(f"format {extension!r} is not one that soli writes; allowed: {', '.join(FORMATS)}")
    return FORMATS[key]


def find_subtype(extension: str, subtype: str | None) -> str:
    """Check an encoding against a format.

    Args:
        extension: a key of `FORMATS`.
        subtype: libsndfile's name in any case, or None for the format's default.

    Returns:
        The subtype in capitals.

    Raises:
        SoliError: for a subtype that the format does not allow.
    """
    allowed = find_format(extension).subtypes
    if subtype is None:
        return allowed[0]
    if subtype.upper() not in allowed:
        raise SoliError(f"subtype {subtype!r} does not exist in {extension} files; allowed: {', '.join(allowed)}")
    return subtype.upper()


def default_subtype(extension: str, source_subtype: str) -> str:
    """The encoding that keeps the input's bit depth, as far as the output format can.

    Lossy and 8-bit inputs give 16 bits, which is what people expect of a wav file; float stays float.

    Args:
        extension: a key of `FORMATS`.
        source_subtype: of the input, `AudioReader.subtype`.

    Returns:
        One of the format's subtypes.
    """
    allowed = find_format(extension).subtypes
    wished = {"DOUBLE": "FLOAT"}.get(source_subtype, source_subtype)
    if wished in allowed:
        return wished
    if BIT_DEPTHS.get(source_subtype, 0) > 16 and "PCM_24" in allowed:
        return "PCM_24"
    return allowed[0]


def dbfs(peak: float) -> float:
    """Level of a peak in dB below full scale; digital silence is -200."""
    return max(-200.0, 20 * math.log10(peak)) if peak > 0 else -200.0
