"""What a SoundFont plays for a key: its zones, their generators in plain units, and the samples themselves.

Left out of the standard: low-frequency oscillators, the modulation envelope on pitch, and what `modulators` leaves out.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from soli.data.render.modulators import ATTENUATION, DEFAULTS, Modulators, moved, velocity_shapes_tone
from soli.data.render.soundfonts import SoundFont
from soli.errors import SoliError

# Numbers of generators, section 8.1.3 of the SoundFont standard 2.04.
_START, _END, _LOOP_START, _LOOP_END = (0, 4), (1, 12), (2, 45), (3, 50)  # fine, and coarse in 32768 samples
_CUTOFF, _RESONANCE, _ENVELOPE_TO_CUTOFF, _PAN = 8, 9, 11, 17
_MODULATION_ENVELOPE, _VOLUME_ENVELOPE = 25, 33  # delay; attack, hold, decay, sustain, release, key to hold and decay
_INSTRUMENT, _KEYS, _VELOCITIES, _COARSE, _FINE = 41, 43, 44, 51, 52
_SAMPLE, _MODES, _SCALE, _EXCLUSIVE, _ROOT = 53, 54, 56, 57, 58
_INSTRUMENT_ONLY = {0, 1, 2, 3, 4, 12, 45, 50, _KEYS, _VELOCITIES, _SAMPLE, _MODES, _EXCLUSIVE, _ROOT, _INSTRUMENT}
_TIMES = (25, 26, 27, 28, 30, 33, 34, 35, 36, 38)
_DEFAULTS = {_CUTOFF: 13500, _SCALE: 100, _ROOT: -1} | dict.fromkeys(_TIMES, -12000)
_ATTENUATION_UNIT = 0.4  # of what the standard says: what the hardware did, and fonts are made for
_COMPRESSED, _ROM = 0x10, 0x8000
_WHOLE_RANGE = 127 << 8

Generators = dict[int, int]


@dataclass(frozen=True)
class Envelope:
    """Times in seconds; `sustain` is a level, in dB below the peak for volume, from 0 to 1 for modulation."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: float
    release: float


@dataclass(frozen=True, eq=False)
class Zone:
    """A sample, the notes it is for, and the raw amounts of its generators and modulators.

    Attributes:
        keys: lowest and highest.
        velocities: lowest and highest.
        sample: index in the sample table.
        generators: number -> amount, with those of the preset added.
        modulators: likewise.
        by_velocity: whether velocity changes more than the level.
    """

    keys: tuple[int, int]
    velocities: tuple[int, int]
    sample: int
    generators: Generators
    modulators: Modulators
    by_velocity: bool

    def plays(self, key: int, velocity: int) -> bool:
        """Whether a note sounds in this zone."""
        return self.keys[0] <= key <= self.keys[1] and self.velocities[0] <= velocity <= self.velocities[1]

    def gain(self, key: int, velocity: int) -> float:
        """The level of a note, linear."""
        added = moved({mod: amount for mod, amount in self.modulators.items() if mod[1] == ATTENUATION}, key, velocity)
        attenuation = _ATTENUATION_UNIT * self.generators.get(ATTENUATION, 0) + added.get(ATTENUATION, 0.0)
        return 10 ** (-min(max(attenuation, 0.0), 1440.0) / 200)

    @property
    def exclusive(self) -> int:
        """A note ends others of the same number; 0 ends none."""
        return self.generators.get(_EXCLUSIVE, 0)


@dataclass(frozen=True, eq=False)
class Settings:
    """How a zone plays one note, in plain units.

    Attributes:
        start: first sample of its data, counted from the start of the sample; usually 0.
        end: how many samples of its end are left out; usually 0.
        loop: start and end of the loop in samples from the start of the sample, or None.
        pan: -0.5 (left) to 0.5 (right).
        cents: from the pitch of the sample to that of the note.
        cutoff: of the low-pass filter, in Hz.
        resonance: of the filter, in dB.
        sweep: how far the modulation envelope moves the cutoff, in cents.
        volume: the volume envelope; its hold and decay are those of the key.
        modulation: the modulation envelope.
    """

    start: int
    end: int
    loop: tuple[int, int] | None
    pan: float
    cents: float
    cutoff: float
    resonance: float
    sweep: float
    volume: Envelope
    modulation: Envelope


@lru_cache(maxsize=256)
def zones_of(font: SoundFont, bank: int, program: int) -> tuple[Zone, ...]:
    """The zones of a preset, its own generators added to those of its instruments.

    Args:
        font: an open font.
        bank: 0 to 128.
        program: 0 to 127.

    Returns:
        All zones with a sample in the file.

    Raises:
        SoliError: when the font has no such preset, or its tables point beyond their ends.
    """
    heads = font.tables["phdr"]
    index = np.flatnonzero((heads["bank"][:-1] == bank) & (heads["program"][:-1] == program))
    if not len(index):
        raise SoliError(f"{font.path}: no preset in bank {bank} for program {program}")
    try:
        found = []
        for outer in _bags(font, "p", int(heads["bag"][index[-1]]), int(heads["bag"][index[-1] + 1])):
            if _INSTRUMENT not in outer[0]:
                continue
            bags = font.tables["inst"]["bag"][outer[0][_INSTRUMENT] : outer[0][_INSTRUMENT] + 2]
            inner = (bag for bag in _bags(font, "i", int(bags[0]), int(bags[1])) if _SAMPLE in bag[0])
            found += [zone for bag in inner if (zone := _zone(font, bag, outer)) is not None]
    except IndexError as error:
        raise SoliError(f"{font.path}: a broken SoundFont: preset {bank}:{program} points beyond its tables") from error
    return tuple(found)


@lru_cache(maxsize=512)
def sample_data(font: SoundFont, index: int) -> np.ndarray:
    """The waveform of one sample, read from the file or, in SF3, decoded from Ogg Vorbis.

    Args:
        font: an open font.
        index: in its sample table.

    Returns:
        Float32 `[T]`, full scale 1.

    Raises:
        SoliError: when the data cannot be read or decoded.
    """
    head = font.tables["shdr"][index]
    unit = 1 if head["type"] & _COMPRESSED else 2
    start, end = unit * int(head["start"]), unit * int(head["end"])
    offset, size = font.samples
    if not start <= end <= size:
        raise SoliError(f"{font.path}: a broken SoundFont: sample {index} lies beyond the sample data")
    try:
        with font.path.open("rb") as file:
            file.seek(offset + start)
            data = file.read(end - start)
    except OSError as error:
        raise SoliError(f"{font.path}: cannot be read: {error.strerror or error}") from error
    if unit == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    import soundfile

    try:
        return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0][:, 0].copy()
    except soundfile.LibsndfileError as error:
        raise SoliError(f"{font.path}: sample {index} cannot be decoded: {error.error_string}") from error


def settings_of(font: SoundFont, zone: Zone, key: int, velocity: int) -> Settings:
    """How a zone plays a note.

    Args:
        font: its font.
        zone: a zone that plays it.
        key: 0 to 127.
        velocity: 1 to 127.

    Returns:
        Everything but the level.
    """
    head = font.tables["shdr"][zone.sample]
    added = moved(zone.modulators, key, velocity)

    def get(number: int) -> float:
        return zone.generators.get(number, 0) + added.get(number, 0.0)

    def offset(pair: tuple[int, int]) -> int:
        return round(get(pair[0]) + 32768 * get(pair[1]))

    base = 0 if head["type"] & _COMPRESSED else int(head["start"])  # compressed samples count loops from their start
    loop = (int(head["loop_start"]) - base + offset(_LOOP_START), int(head["loop_end"]) - base + offset(_LOOP_END))
    root = int(get(_ROOT)) if 0 <= get(_ROOT) <= 127 else int(head["pitch"])
    tune = 100 * get(_COARSE) + get(_FINE) + float(head["correction"])
    return Settings(
        start=max(offset(_START), 0),
        end=max(-offset(_END), 0),
        loop=loop if int(get(_MODES)) & 1 and loop[0] >= 0 and loop[1] - loop[0] >= 4 else None,
        pan=_within(get(_PAN), -500, 500) / 1000,
        cents=(key - (root if root <= 127 else 60)) * get(_SCALE) + tune,
        cutoff=_hertz(_within(get(_CUTOFF), 1500, 13500)),
        resonance=_within(get(_RESONANCE), 0, 960) / 10,
        sweep=get(_ENVELOPE_TO_CUTOFF),
        volume=_envelope(get, _VOLUME_ENVELOPE, key, sustain=_within(get(37), 0, 1440) / 10),
        modulation=_envelope(get, _MODULATION_ENVELOPE, key, sustain=1 - _within(get(29), 0, 1000) / 1000),
    )


def _bags(font: SoundFont, kind: str, first: int, last: int) -> list[tuple[Generators, Modulators]]:
    """The generators and modulators of each bag; a first one without its target holds for all the others."""
    bags, generators, modulators = (font.tables[kind + table] for table in ("bag", "gen", "mod"))
    target = _INSTRUMENT if kind == "p" else _SAMPLE
    shared: tuple[Generators, Modulators] = {}, {}
    found = []
    for index in range(first, last):
        here, after = bags[index], bags[index + 1]
        part = generators[int(here["generator"]) : int(after["generator"])]
        own = dict(zip(part["operator"].tolist(), part["amount"].tolist(), strict=True))
        part = modulators[int(here["modulator"]) : int(after["modulator"])]
        mods = {(s, t, by): amount for s, t, amount, by, _ in part.tolist()}
        if index == first and target not in own:
            shared = own, mods
        else:
            found.append((shared[0] | own, shared[1] | mods))
    return found


def _zone(font: SoundFont, inner: tuple[Generators, Modulators], outer: tuple[Generators, Modulators]) -> Zone | None:
    """A zone of an instrument within one of a preset; None when it can sound nowhere."""
    index = inner[0][_SAMPLE]
    head = font.tables["shdr"][index]
    keys, velocities = (_overlap(inner[0], outer[0], kind) for kind in (_KEYS, _VELOCITIES))
    if head["type"] & _ROM or head["end"] <= head["start"] or keys[0] > keys[1] or velocities[0] > velocities[1]:
        return None
    generators = _DEFAULTS | inner[0]
    for number, amount in outer[0].items():
        if number not in _INSTRUMENT_ONLY:
            generators[number] = generators.get(number, 0) + amount
    modulators = DEFAULTS | inner[1]
    for modulator, amount in outer[1].items():
        modulators[modulator] = modulators.get(modulator, 0) + amount
    return Zone(keys, velocities, index, generators, modulators, velocity_shapes_tone(modulators))


def _overlap(inner: Generators, outer: Generators, kind: int) -> tuple[int, int]:
    ranges = [generators.get(kind, _WHOLE_RANGE) & 0xFFFF for generators in (inner, outer)]
    return max(both & 0xFF for both in ranges), min(both >> 8 for both in ranges)


def _envelope(get: Callable[[int], float], first: int, key: int, *, sustain: float) -> Envelope:
    """From the generators delay, attack, hold, decay, sustain, release, and keys to hold and to decay."""
    delay, attack, hold, decay, release = (get(first + step) for step in (0, 1, 2, 3, 5))
    hold += get(first + 6) * (60 - key)
    decay += get(first + 7) * (60 - key)
    return Envelope(_seconds(delay), _seconds(attack), _seconds(hold), _seconds(decay), sustain, _seconds(release))


def _seconds(timecents: float) -> float:
    """The shortest time of the standard, 1 ms, is none."""
    seconds = 2 ** (_within(timecents, -12000, 8000) / 1200)
    return seconds if seconds > 0.001 else 0.0


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _hertz(cents: float) -> float:
    return 440 * 2 ** ((cents - 6900) / 1200)
