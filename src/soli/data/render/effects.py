"""Effects on a stem: pure functions `[... C T]` -> the same shape, with nothing random in them but noise by seed.

All but `drive` and `compress` are linear; `compress` is linear too once its key is given, so that the pieces of a drum
kit, compressed by their sum, still sum to it.
"""

from __future__ import annotations

import math

import numpy as np

_EQ_TAPS = 2048
_FRAME_SECONDS = 0.005
_QUIET = 1e-9


def shelves(audio: np.ndarray, sample_rate: int, *, low_db: float, high_db: float) -> np.ndarray:
    """Raise or lower the bass and the treble, gently: shelves of first order at 200 Hz and 3 kHz.

    Args:
        audio: `[... T]`.
        sample_rate: in Hz.
        low_db: gain far below 200 Hz.
        high_db: gain far above 3 kHz.

    Returns:
        `[... T]`; without delay, as the phase is that of the analogue filters.
    """
    return convolve(audio, _shelf_kernel(sample_rate, low_db, high_db))


def drive(audio: np.ndarray, *, gain_db: float) -> np.ndarray:
    """Soft saturation: tanh, set against the loudness of the stem itself, which it keeps.

    Args:
        audio: `[... T]`.
        gain_db: how far its root mean square, over what is not silent, goes into the curve; 0 is hardly heard.

    Returns:
        `[... T]`.
    """
    before = _active_rms(audio)
    if before < _QUIET:
        return audio
    driven = np.tanh(audio * np.float32(0.1 * 10 ** (gain_db / 20) / before))
    driven *= np.float32(before / _active_rms(driven))
    return driven


def compress(
    audio: np.ndarray, sample_rate: int, *, threshold_db: float, ratio: float, key: np.ndarray | None = None
) -> np.ndarray:
    """Turn down what is louder than a threshold; 10 ms attack, 120 ms release, the same gain for all channels.

    Args:
        audio: `[... C T]`.
        sample_rate: in Hz.
        threshold_db: relative to the root mean square of the key over what is not silent.
        ratio: dB in for one dB out above the threshold.
        key: `[C T]`, what sets the gain; the audio itself by default.

    Returns:
        `[... C T]`.
    """
    key = audio if key is None else key
    frame = max(round(_FRAME_SECONDS * sample_rate), 1)
    mono = np.square(key).reshape(-1, key.shape[-1]).mean(axis=0)
    starts = np.arange(0, len(mono), frame)
    level = 10 * np.log10(np.add.reduceat(mono, starts) / frame + 1e-12)
    threshold = 20 * math.log10(max(_active_rms(key), _QUIET)) + threshold_db
    wanted = np.minimum(0, (threshold - level) * (1 - 1 / ratio))
    gain = np.empty(len(wanted))
    attack, release = (1 - math.exp(-_FRAME_SECONDS / seconds) for seconds in (0.01, 0.12))
    current = 0.0
    for index, value in enumerate(wanted.tolist()):
        current += (attack if value < current else release) * (value - current)
        gain[index] = current
    curve = np.interp(np.arange(len(mono), dtype=np.float32), starts + frame / 2, 10 ** (gain / 20))
    return audio * curve.astype(np.float32)


def chorus(audio: np.ndarray, sample_rate: int, *, rate_hz: float, depth_ms: float, mix: float) -> np.ndarray:
    """Add a copy whose delay swings between 10 ms and 10 ms + 2 `depth_ms`, on every other channel the other way.

    Args:
        audio: `[... C T]`.
        sample_rate: in Hz.
        rate_hz: of the swing.
        depth_ms: half its width.
        mix: gain of the copy.

    Returns:
        `[... C T]`.
    """
    n_channels, n_samples = audio.shape[-2:]
    clock = np.arange(n_samples, dtype=np.float32)
    out = audio.copy()
    for channel in range(n_channels):
        swing = np.sin(np.float32(2 * np.pi * rate_hz / sample_rate) * clock) * (-1) ** channel
        delay = np.float32(sample_rate / 1000) * (10 + np.float32(depth_ms) * (1 + swing))
        position = clock - delay
        index = np.floor(position).astype(np.int32)
        fraction = position - index
        padded = np.concatenate([np.zeros_like(audio[..., channel, :1]), audio[..., channel, :]], axis=-1)
        first = np.take(padded, np.maximum(index + 1, 0), axis=-1)
        second = np.take(padded, np.maximum(index + 2, 0), axis=-1)
        out[..., channel, :] += np.float32(mix) * (first + fraction * (second - first))
    return out


def echo(audio: np.ndarray, sample_rate: int, *, seconds: float, feedback: float, mix: float) -> np.ndarray:
    """Repeat at equal distances, each time weaker, until inaudible.

    Args:
        audio: `[... T]`.
        sample_rate: in Hz.
        seconds: between repeats.
        feedback: gain from one repeat to the next, below 1.
        mix: gain of the first.

    Returns:
        `[... T]`; repeats beyond the end are cut.
    """
    out = audio.copy()
    step = max(round(seconds * sample_rate), 1)
    gain, shift = mix, step
    while gain > 0.003 and shift < audio.shape[-1]:
        out[..., shift:] += np.float32(gain) * audio[..., :-shift]
        gain, shift = gain * feedback, shift + step
    return out


def reverb(audio: np.ndarray, sample_rate: int, *, rt60: float, mix: float, seed: int) -> np.ndarray:
    """A room: noise that decays by 60 dB in `rt60` seconds, different in each channel, treble decaying faster.

    Args:
        audio: `[... C T]`.
        sample_rate: in Hz.
        rt60: in seconds.
        mix: energy of the room's response over that of the direct sound, as a gain.
        seed: of the noise.

    Returns:
        `[... C T]`, the direct sound and the room.
    """
    room = room_response(sample_rate, rt60=rt60, n_channels=audio.shape[-2], seed=seed)
    return audio + np.float32(mix) * convolve(audio, room)


def room_response(sample_rate: int, *, rt60: float, n_channels: int, seed: int) -> np.ndarray:
    """The response that `reverb` convolves with.

    Args:
        sample_rate: in Hz.
        rt60: in seconds, of the lower half of the band; the upper half decays in 0.6 of it.
        n_channels: C.
        seed: of the noise.

    Returns:
        Float32 `[C T]`, T = `rt60` seconds and a pre-delay of 8 ms; energy 1 in each channel.
    """
    n_samples = max(round(rt60 * sample_rate), 2)
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal((n_channels, n_samples)).astype(np.float32)
    smooth = np.concatenate([noise[:, :1], (noise[:, 1:] + noise[:, :-1]) / 2], axis=1)
    decay = np.exp(-math.log(1000) * np.arange(n_samples, dtype=np.float32) / n_samples)
    response = smooth * decay + (noise - smooth) * decay ** (1 / 0.6)
    response /= np.sqrt(np.square(response).sum(axis=1, keepdims=True))
    return np.pad(response, ((0, 0), (round(0.008 * sample_rate), 0)))


def convolve(audio: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution by overlapping blocks, cut to the length of the audio.

    Args:
        audio: `[... C T]`.
        kernel: `[K]`, or `[C K]` with one for each channel.

    Returns:
        Float32 `[... C T]`.
    """
    n_samples, taps = audio.shape[-1], kernel.shape[-1]
    size = 2 ** max(math.ceil(math.log2(4 * taps)), 13)
    hop = size - taps + 1
    n_blocks = -(-n_samples // hop)
    response = np.fft.rfft(kernel.astype(np.float32), size)
    out = np.zeros((*audio.shape[:-1], n_blocks * hop + taps - 1), np.float32)
    for start in range(0, n_samples, hop):
        block = np.fft.rfft(audio[..., start : start + hop], size)
        out[..., start : start + size] += np.fft.irfft(block * response, size)
    return out[..., :n_samples]


def _shelf_kernel(sample_rate: int, low_db: float, high_db: float) -> np.ndarray:
    """H = (s + g w) / (s + w) for the bass and (g s + w) / (s + w) for the treble."""
    s = 2j * np.pi * np.arange(_EQ_TAPS + 1) * sample_rate / (2 * _EQ_TAPS)
    low, high = (10 ** (gain / 20) for gain in (low_db, high_db))
    bass, treble = 2 * np.pi * 200, 2 * np.pi * min(3000, sample_rate / 4)
    response = (s + bass * low) / (s + bass) * (high * s + treble) / (s + treble)
    return np.fft.irfft(response, 2 * _EQ_TAPS)[:_EQ_TAPS].astype(np.float32)


def _active_rms(audio: np.ndarray) -> float:
    """Root mean square over the samples above a thousandth of the peak."""
    power = np.square(audio)
    peak = float(power.max(initial=0.0))
    active = power > 1e-6 * peak
    return math.sqrt(float(power.sum(where=active, dtype=np.float64)) / max(int(active.sum()), 1))
