"""Audio small enough to live inside a page.

Ogg Opus: at these rates better than MP3, exactly as long as the original (MP3 adds a silence that not every decoder
takes away again), and decoded by Chrome, Edge, Firefox, and Safari from 18.4 on.

One rule: all tracks of a page share a budget, 3.4 MB for up to half a minute, so that such a page stays below 6 MB of
HTML, and 5.2 MB for longer ones, so that three minutes with four stems stay below 8 MB. A track gets at most 96 kbit/s
and at least 32; from 48 kbit/s on it is stereo, below that mono. Only the first ten minutes are kept.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from soli.report.data import Array

LONGEST_SECONDS = 600
CLIP_SECONDS = 31
CLIP_BUDGET, SONG_BUDGET = 3_400_000, 5_200_000
_RATE = 48_000  # the rate Opus works at
_LEAST, _STEREO, _MOST = 32_000, 48_000, 96_000  # bit/s for one track
_SLOWEST, _FASTEST = 6_000, 256_000  # what libsndfile makes of compression levels 1 and 0, per channel


def bit_rate(seconds: float, n_tracks: int, budget: int | None = None) -> int:
    """The bit rate of one track by the rule above.

    Args:
        seconds: length of each track.
        n_tracks: how many tracks share the budget.
        budget: in bytes; None for what a page with one player may have.

    Returns:
        Bit per second.
    """
    if budget is None:
        budget = CLIP_BUDGET if seconds <= CLIP_SECONDS else SONG_BUDGET
    share = 8 * budget / (max(seconds, 1e-3) * max(n_tracks, 1))
    return int(min(max(share, _LEAST), _MOST))


def embed(tracks: Mapping[str, Array], sample_rate: int, budget: int | None = None) -> dict[str, str]:
    """Compress all tracks of a player.

    Args:
        tracks: anything -> `[C T]`, all equally long.
        sample_rate: in Hz.
        budget: as for `bit_rate`.

    Returns:
        The same keys -> an Ogg Opus file in base64.
    """
    seconds = max((track.shape[-1] for track in tracks.values()), default=0) / sample_rate
    rate = bit_rate(seconds, len(tracks), budget)
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
