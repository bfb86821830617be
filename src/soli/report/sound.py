"""Audio small enough to live inside a page.

One rule: all tracks of a page share a budget of 5.2 MB, so a three-minute song with four stems stays below 8 MB
of HTML. A track gets at most 96 kbit/s and at least 32; from 48 kbit/s on it is stereo, below that mono. Only the
first ten minutes are kept.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from soli.report.data import Array

LONGEST_SECONDS = 600
BUDGET_BYTES = 5_200_000
_RATE = 48_000  # the rate Opus works at
_LEAST, _STEREO, _MOST = 32_000, 48_000, 96_000  # bit/s for one track
_SLOWEST, _FASTEST = 6_000, 256_000  # what libsndfile makes of compression levels 1 and 0, per channel


def bit_rate(seconds: float, n_tracks: int) -> int:
    """The bit rate of one track by the rule above.

    Args:
        seconds: length of each track.
        n_tracks: how many tracks the page holds.

    Returns:
        Bit per second.
    """
    share = 8 * BUDGET_BYTES / (max(seconds, 1e-3) * max(n_tracks, 1))
    return int(min(max(share, _LEAST), _MOST))


def embed(tracks: Mapping[str, Array], sample_rate: int) -> dict[str, str]:
    """Compress all tracks of a page.

    Args:
        tracks: anything -> `[C T]`, all equally long.
        sample_rate: in Hz.

    Returns:
        The same keys -> an Ogg Opus file in base64.
    """
    seconds = max((track.shape[-1] for track in tracks.values()), default=0) / sample_rate
    rate = bit_rate(seconds, len(tracks))
    with ThreadPoolExecutor() as pool:  # the encoder lets go of the interpreter while it works
        files = pool.map(lambda track: encode(track, sample_rate, rate), tracks.values())
        return {key: b64encode(file).decode("ascii") for key, file in zip(tracks, files, strict=True)}


def encode(track: Array, sample_rate: int, bits_per_second: int) -> bytes:
    """Encode one track as Ogg Opus, in step with the original to the sample.

    Args:
        track: `[C T]`; more than two channels are averaged.
        sample_rate: in Hz.
        bits_per_second: mono below 48000.

    Returns:
        The bytes of an `.opus` file.
    """
    import soundfile
    import soxr

    stereo = track.shape[0] == 2 and bits_per_second >= _STEREO
    folded = track if stereo else track.mean(axis=0, keepdims=True)
    samples = np.clip(soxr.resample(folded.T.astype(np.float32), sample_rate, _RATE), -1, 1)
    level = (_FASTEST - bits_per_second / len(folded)) / (_FASTEST - _SLOWEST)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", _RATE, len(folded), "OPUS", format="OGG", compression_level=min(max(level, 0.0), 1.0)
    ) as file:
        for start in range(0, len(samples), _RATE):  # libsndfile's Ogg writer can crash on one huge write
            file.write(samples[start : start + _RATE])
    return buffer.getvalue()
