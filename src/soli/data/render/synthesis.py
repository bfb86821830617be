"""Notes to audio through one preset of a SoundFont, straight at the rate and number of channels wanted.

Each pitch of each zone is resampled once, free of aliases, and every note is a piece of that under its envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from soli.data.render.notes import TimedNote
from soli.data.render.sizes import LARGEST, fast_pair
from soli.data.render.soundfonts import SoundFont
from soli.data.render.zones import Envelope, Settings, Zone, sample_data, settings_of, zones_of
from soli.errors import SoliError

SILENCE_DB = 80.0
"""A release is followed this far down."""

_LONGEST_NOTE, _LONGEST_RELEASE, _SHORTEST_RELEASE = 60.0, 6.0, 0.01  # seconds
_CHOKE_SECONDS = 0.02
_RELEASE_DB = 100.0  # the standard gives the time of this fall
_FILTER_ABOVE = 0.9  # a cutoff beyond this share of the band is no filter
_WORTH_SWEEPING = 300.0  # cents


_Group = tuple[int, int, int]  # index of the zone, key, and the velocity that shapes the tone, 0 where none does
_SHADE = 8  # velocities that shape a tone alike


@dataclass(frozen=True)
class _Voice:
    start: int
    length: int
    gain: float
    release: float  # seconds
    cut: int | None = None  # samples from its start until it is choked


def synthesise(
    notes: Sequence[TimedNote],
    font: SoundFont,
    *,
    bank: int,
    program: int,
    sample_rate: int,
    n_samples: int,
    n_channels: int = 2,
) -> np.ndarray:
    """Play notes with a preset.

    A note sounds on after its end by the release of its preset; notes of keys the preset lacks are silent. Velocity
    sets the level, by its square unless the font has it otherwise, chooses the zone, and may open the filter.

    Args:
        notes: in any order; what begins after the end is left out.
        font: an open SoundFont.
        bank: of the preset; drum kits are in bank 128.
        program: of the preset.
        sample_rate: in Hz.
        n_samples: length wanted.
        n_channels: 1 is the mean of the two channels, computed as one.

    Returns:
        Float32 `[C T]`.

    Raises:
        SoliError: when the font lacks the preset or cannot be read.
    """
    if n_channels not in (1, 2):
        raise SoliError(f"n_channels={n_channels}; allowed: 1, 2")
    zones = zones_of(font, bank, program)
    out = np.zeros((n_channels, n_samples), np.float32)
    for (index, key, velocity), voices in sorted(_assigned(notes, font, zones, sample_rate, n_samples).items()):
        zone = zones[index]
        _place(out, font, zone, settings_of(font, zone, key, velocity), voices, sample_rate)
    return out


def tail_seconds(font: SoundFont, *, bank: int, program: int) -> float:
    """How long the last note may sound on.

    Args:
        font: an open SoundFont.
        bank: of the preset.
        program: of the preset.

    Returns:
        The longest release of its zones in seconds, 6 at most.

    Raises:
        SoliError: when the font lacks the preset.
    """
    zones = zones_of(font, bank, program)
    return max((_release(settings_of(font, zone, zone.keys[0], zone.velocities[1])) for zone in zones), default=0.0)


def _assigned(
    notes: Sequence[TimedNote], font: SoundFont, zones: tuple[Zone, ...], sample_rate: int, n_samples: int
) -> dict[_Group, list[_Voice]]:
    """What sounds alike -> when it sounds and how loudly."""
    played: dict[_Group, list[_Voice]] = {}
    exclusive: dict[int, list[tuple[_Group, int]]] = {}
    releases: dict[_Group, float] = {}
    for note in sorted(notes, key=lambda note: (note.start_seconds, note.pitch, note.velocity)):
        start = round(note.start_seconds * sample_rate)
        if not 0 <= start < n_samples:
            continue
        length = max(round(min(note.length_seconds, _LONGEST_NOTE) * sample_rate), 1)
        for index, zone in enumerate(zones):
            if not zone.plays(note.pitch, note.velocity):
                continue
            shade = _SHADE * (note.velocity // _SHADE) + _SHADE // 2 if zone.by_velocity else 0
            group = index, note.pitch, shade
            if group not in releases:
                releases[group] = _release(settings_of(font, zone, note.pitch, shade))
            voices = played.setdefault(group, [])
            voices.append(_Voice(start, length, zone.gain(note.pitch, note.velocity), releases[group]))
            if zone.exclusive:
                exclusive.setdefault(zone.exclusive, []).append((group, len(voices) - 1))
    for order in exclusive.values():
        _choke(played, order)
    return played


def _choke(played: dict[_Group, list[_Voice]], order: list[tuple[_Group, int]]) -> None:
    """End every voice of an exclusive class where the next one begins: a closed hi-hat ends an open one."""
    following = None
    latest = None
    for group, index in reversed(order):
        voice = played[group][index]
        if latest is not None and voice.start < latest:
            following = latest
        if following is not None:
            played[group][index] = replace(voice, cut=following - voice.start)
        latest = voice.start


def _place(
    out: np.ndarray, font: SoundFont, zone: Zone, settings: Settings, voices: Sequence[_Voice], sample_rate: int
) -> None:
    """Add all notes that sound alike."""
    longest = max(voice.length for voice in voices)
    longest = min(longest, out.shape[1]) + round(max(voice.release for voice in voices) * sample_rate)
    tone = _tone(font, zone.sample, settings, longest, sample_rate)
    if not len(tone):
        return
    volume = _volume(settings.volume, len(tone), sample_rate)
    held = tone * volume
    pan = np.pi / 2 * (settings.pan + 0.5)
    sides = np.array([np.cos(pan), np.sin(pan)], np.float32)
    sides = sides if len(out) == 2 else sides.mean(keepdims=True)
    for voice in voices:
        end = min(voice.length, len(tone), out.shape[1] - voice.start)
        falling = _fall(round(voice.release * sample_rate), sample_rate)
        stop = min(end + len(falling), len(tone), out.shape[1] - voice.start)
        tail = tone[end:stop] * falling[: stop - end]
        tail *= volume[end - 1]
        parts = [(0, held[:end]), (end, tail)]
        if voice.cut is not None and voice.cut < stop:
            parts = [(0, _choked(np.concatenate((held[:end], tail)), voice.cut, sample_rate))]
        for channel, gain in zip(out, sides * np.float32(voice.gain), strict=True):
            for offset, part in parts:
                channel[voice.start + offset : voice.start + offset + len(part)] += gain * part


def _choked(audio: np.ndarray, cut: int, sample_rate: int) -> np.ndarray:
    """Faded out from `cut` on."""
    fade = min(round(_CHOKE_SECONDS * sample_rate), len(audio) - cut)
    audio[cut : cut + fade] *= np.linspace(1, 0, fade, dtype=np.float32)
    return audio[: cut + fade]


def _release(settings: Settings) -> float:
    """Seconds until a released note is inaudible."""
    return min(max(settings.volume.release, _SHORTEST_RELEASE), _LONGEST_RELEASE) * SILENCE_DB / _RELEASE_DB


@lru_cache(maxsize=64)
def _fall(n_samples: int, sample_rate: int) -> np.ndarray:
    """From 0 dB to inaudible, evenly in dB, and to zero at the very end."""
    ramp = np.arange(1, n_samples + 1, dtype=np.float32) / max(n_samples, 1)
    return 10 ** (-SILENCE_DB / 20 * ramp) * np.minimum(1, (1 - ramp) * n_samples / (0.002 * sample_rate))


def _volume(envelope: Envelope, n_samples: int, sample_rate: int) -> np.ndarray:
    """The volume envelope of a key that stays down, as a gain `[T]`; decay runs evenly in dB."""
    times = np.arange(n_samples, dtype=np.float32) / sample_rate
    peak = envelope.delay + envelope.attack
    fallen = np.clip((times - peak - envelope.hold) / max(envelope.decay, 1e-4) * _RELEASE_DB, 0, envelope.sustain)
    rising = np.clip((times - envelope.delay) / max(envelope.attack, 1e-4), 0, 1) if peak else np.float32(1)
    return (rising * 10 ** (-fallen / 20)).astype(np.float32)


def _sweep(envelope: Envelope, n_samples: int, sample_rate: int) -> np.ndarray:
    """The modulation envelope, 0 to 1, `[T]`."""
    times = np.arange(n_samples, dtype=np.float32) / sample_rate
    peak = envelope.delay + envelope.attack
    knots = [envelope.delay, peak, peak + envelope.hold, peak + envelope.hold + envelope.decay * (1 - envelope.sustain)]
    return np.interp(times, np.maximum.accumulate(knots), [0, 1, 1, envelope.sustain]).astype(np.float32)


def _tone(font: SoundFont, sample: int, zone: Settings, n_samples: int, sample_rate: int) -> np.ndarray:
    """A sample at the pitch of its notes, before the volume envelope: float32, at most `n_samples` long."""
    ratio = float(font.tables["shdr"]["sample_rate"][sample]) / sample_rate * 2 ** (zone.cents / 1200)
    source = sample_data(font, sample)
    source = source[zone.start : len(source) - zone.end]
    if zone.loop is None or zone.loop[1] - zone.start > len(source):
        n_samples = min(n_samples, int(len(source) / ratio))
    n_in, n_out = fast_pair(n_samples + 256, ratio)
    if n_samples <= 0 or n_in > LARGEST:
        return np.zeros(0, np.float32)
    spectrum = np.fft.rfft(_unrolled(source, zone, n_in), n_in)[: n_out // 2 + 1]
    hertz = np.arange(len(spectrum), dtype=np.float32) * np.float32(sample_rate / n_out)
    band = sample_rate / 2

    def filtered(cutoff: float) -> np.ndarray:
        response = _low_pass(hertz, cutoff, zone.resonance) if cutoff < _FILTER_ABOVE * band else np.float32(1)
        return np.fft.irfft(spectrum * response, n_out)[:n_samples].astype(np.float32) * np.float32(n_out / n_in)

    tone = filtered(zone.cutoff)
    swept = zone.cutoff * 2 ** (zone.sweep / 1200)
    if abs(zone.sweep) > _WORTH_SWEEPING and min(swept, zone.cutoff) < _FILTER_ABOVE * band:
        tone += (filtered(swept) - tone) * _sweep(zone.modulation, n_samples, sample_rate)
    return tone


def _unrolled(source: np.ndarray, zone: Settings, n_samples: int) -> np.ndarray:
    """The sample with its loop repeated to fill `n_samples`, or with silence after it."""
    out = np.zeros(n_samples, np.float32)
    if zone.loop is None or zone.loop[1] - zone.start > len(source):
        part = source[:n_samples]
        out[: len(part)] = part
        return out
    start, end = max(zone.loop[0] - zone.start, 0), zone.loop[1] - zone.start
    head = source[: min(end, n_samples)]
    out[: len(head)] = head
    if n_samples > end:
        out[end:] = np.resize(source[start:end], n_samples - end)
    fade = min(64, n_samples)
    out[n_samples - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)  # the transform is circular
    return out


def _low_pass(hertz: np.ndarray, cutoff: float, resonance: float) -> np.ndarray:
    """Second order, -12 dB per octave, `resonance` in dB at the cutoff, half of it taken off the whole."""
    x = hertz / np.float32(cutoff)
    quality = 10 ** ((resonance - 3.01) / 20)
    return (10 ** (-resonance / 40) / (1 - x * x + 1j * x / quality)).astype(np.complex64)
