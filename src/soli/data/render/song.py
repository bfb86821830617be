"""`render_song`: parts become stems, stems become a song."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from soli.data.compose.score import Part, Tempo, stream
from soli.data.render.chains import apply_chain, draw_chain
from soli.data.render.drums import DrumPreset, render_drums
from soli.data.render.fluid import synthesise_with_fluidsynth
from soli.data.render.kits import Kit
from soli.data.render.mix import draw_level, draw_pan, level_gain, master_gain, pan_gains, summed
from soli.data.render.notes import TimedNote, humanised, timed, within
from soli.data.render.palette import Palette, Patch, draw_sound
from soli.data.render.synthesis import synthesise, tail_seconds
from soli.data.render.voices import VoiceBank
from soli.errors import SoliError

_LONGEST_TAIL = 3.0  # seconds
_KIT_TAIL = 2.0


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How songs are rendered.

    Attributes:
        sample_rate: in Hz.
        n_channels: 1 or 2.
        humanise: how far timing and velocities are moved; 0 leaves them, 1 is 8 ms and 8 of 127 in standard deviation.
        keep_program: how likely a part keeps its own program; else one of its class is drawn.
        effects: how likely each effect is, times what is usual for the class; 0 is none, 1 as usual.
        synthesizer: of SoundFonts, `"soli"` or, where it is installed, `"fluidsynth"`.
    """

    sample_rate: int = 44100
    n_channels: int = 2
    humanise: float = 0.0
    keep_program: float = 0.5
    effects: float = 1.0
    synthesizer: Literal["soli", "fluidsynth"] = "soli"


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedStem:
    """One finished stem.

    Attributes:
        name: "S00", "S01" and so on.
        part: name of the part.
        instrument: its class; "other" for a program of no class.
        program: General MIDI program that played, or that of the part where something else than a SoundFont did.
        is_drum: whether it is a drum kit.
        notes: as played, in seconds from the start of the audio.
        audio: float32 `[C T]`.
        pieces: piece of the kit -> float32 `[C T]`, which sum to `audio`; empty unless asked for.
        recipe: what was drawn, as JSON can hold it.
    """

    name: str
    part: str
    instrument: str
    program: int
    is_drum: bool
    notes: tuple[TimedNote, ...]
    audio: np.ndarray
    pieces: Mapping[str, np.ndarray]
    recipe: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedSong:
    """Stems of one length and rate, and what was drawn for all of them together."""

    sample_rate: int
    stems: tuple[RenderedStem, ...]
    recipe: dict[str, Any]

    @property
    def mixture(self) -> np.ndarray:
        """The sum of the stems, float32 `[C T]`."""
        return summed([stem.audio for stem in self.stems])


@dataclass(frozen=True)
class _Plan:
    """A part, what it plays and on what, and its stream of draws."""

    part: Part
    notes: tuple[TimedNote, ...]
    sound: Patch | Kit | VoiceBank
    rng: random.Random


def render_song(
    parts: Sequence[Part],
    tempos: tuple[Tempo, ...],
    palette: Palette,
    config: RenderConfig,
    *,
    seed: int,
    start_seconds: float = 0.0,
    seconds: float | None = None,
    drum_pieces: bool = False,
) -> RenderedSong:
    """Render a song, or an excerpt of it, to one stem per part.

    Each part has its own stream of draws: leaving one out changes the others only by the gain that all share.

    Args:
        parts: of the song; those without a note in the excerpt give no stem.
        tempos: its tempo map.
        palette: the sounds.
        config: rate, channels and how much is drawn at random.
        seed: the same one gives the same samples in every process.
        start_seconds: where the excerpt begins.
        seconds: its length; by default until the last note has died away.
        drum_pieces: whether drum stems are also given piece by piece.

    Returns:
        The song. Its peak is at -1 dBFS or its loudness at -13 LUFS, whichever is quieter.

    Raises:
        SoliError: when no part has a note there, and for sounds that cannot be read.
    """
    _check(config, seconds)
    plans = _plans(parts, tempos, palette, config, seed, start_seconds, seconds)
    if not plans:
        raise SoliError("no part has a note in this excerpt; nothing to render")
    if seconds is None:
        seconds = max(max(note.end_seconds for note in plan.notes) + _tail(plan.sound) for plan in plans)
    n_samples = max(round(seconds * config.sample_rate), 1)
    stems, silent = [], []
    for plan in plans:
        audio, recipe = _play(plan, config, n_samples, drum_pieces=drum_pieces)
        if not any(piece.any() for piece in audio.values()):
            silent.append(plan.part.name)
            continue
        stems.append(_stem(f"S{len(stems):02d}", plan, audio, recipe, config))
    if not stems:
        raise SoliError(f"all parts are silent with these sounds: {', '.join(silent)}")
    gain = master_gain([stem.audio for stem in stems], config.sample_rate)
    for stem in stems:
        for audio in (stem.audio, *stem.pieces.values()):
            audio *= np.float32(gain)
    recipe = {"seed": seed, "master_gain": gain, "silent_parts": silent}
    return RenderedSong(sample_rate=config.sample_rate, stems=tuple(stems), recipe=recipe)


def _check(config: RenderConfig, seconds: float | None) -> None:
    if not 8000 <= config.sample_rate <= 192000:
        raise SoliError(f"sample_rate={config.sample_rate}; allowed: 8000 to 192000")
    if config.n_channels not in (1, 2):
        raise SoliError(f"n_channels={config.n_channels}; allowed: 1, 2")
    if seconds is not None and not seconds > 0:
        raise SoliError(f"seconds={seconds}; allowed: more than 0")


def _plans(
    parts: Sequence[Part],
    tempos: tuple[Tempo, ...],
    palette: Palette,
    config: RenderConfig,
    seed: int,
    start: float,
    seconds: float | None,
) -> list[_Plan]:
    """Draw the sound of every part that plays in the excerpt."""
    plans = []
    for index, part in enumerate(parts):
        rng = stream(seed, "render", index, part.name)
        notes = within(timed(part, tempos), start, seconds if seconds is not None else float("inf"))
        if notes:
            sound = draw_sound(rng, palette, part, keep_program=config.keep_program)
            moved = humanised(stream(seed, "hands", index, part.name), notes, config.humanise)
            plans.append(_Plan(part, moved, sound, rng))
    return plans


def _tail(sound: Patch | Kit | VoiceBank) -> float:
    if isinstance(sound, Patch):
        return min(tail_seconds(sound.font, bank=sound.bank, program=sound.program), _LONGEST_TAIL)
    return _KIT_TAIL if isinstance(sound, Kit) else 0.0


def _play(
    plan: _Plan, config: RenderConfig, n_samples: int, *, drum_pieces: bool
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The dry stem, `[C T]` under the name "", or its pieces under theirs; and what played it."""
    rate, n_channels = config.sample_rate, config.n_channels
    sound = plan.sound
    if isinstance(sound, VoiceBank):
        audio, excerpts = sound.sing(plan.notes, plan.rng, sample_rate=rate, n_samples=n_samples)
        audio = np.repeat(audio, n_channels, axis=0)
        return {"": audio}, {"source": "voices", "name": sound.folder.name, "excerpts": excerpts}
    if isinstance(sound, Kit):
        pieces = render_drums(plan.notes, sound, sample_rate=rate, n_samples=n_samples)
        pieces = {name: _channels(audio, n_channels) for name, audio in pieces.items()}
        if not drum_pieces or not pieces:
            pieces = {"": summed([np.zeros((n_channels, n_samples), np.float32), *pieces.values()])}
        return pieces, {"source": "kit", "name": sound.name}
    recipe = {
        "source": "soundfont",
        "name": sound.font.path.name,
        "bank": sound.bank,
        "program": sound.program,
        "preset": sound.name,
    }
    play = synthesise_with_fluidsynth if config.synthesizer == "fluidsynth" else synthesise
    if plan.part.is_drum and drum_pieces:
        preset = DrumPreset(sound.font, sound.program)
        pieces = render_drums(plan.notes, preset, sample_rate=rate, n_samples=n_samples, play=play)
        return {name: _channels(audio, n_channels) for name, audio in pieces.items()}, recipe
    audio = play(
        plan.notes,
        sound.font,
        bank=sound.bank,
        program=sound.program,
        sample_rate=rate,
        n_samples=n_samples,
        n_channels=n_channels,
    )
    return {"": audio}, recipe


def _channels(audio: np.ndarray, n_channels: int) -> np.ndarray:
    return audio if n_channels == 2 else audio.mean(axis=0, keepdims=True)


def _stem(
    name: str, plan: _Plan, dry: dict[str, np.ndarray], recipe: dict[str, Any], config: RenderConfig
) -> RenderedStem:
    """Effects, level and pan."""
    part, sound, rate = plan.part, plan.sound, config.sample_rate
    chain = draw_chain(plan.rng, part.instrument, config.effects)
    lufs, pan = draw_level(plan.rng, part.instrument), draw_pan(plan.rng, part.instrument)
    wet = apply_chain(np.stack(list(dry.values())) if len(dry) > 1 else next(iter(dry.values())), rate, chain)
    wet = wet * pan_gains(pan, config.n_channels)
    audio = wet.sum(axis=0) if wet.ndim == 3 else wet
    gain = level_gain(audio, rate, lufs)
    pieces: dict[str, np.ndarray] = {}
    if "" not in dry:
        pieces = dict(zip(dry, wet if wet.ndim == 3 else wet[None], strict=True))
        pieces = {piece: piece_audio * np.float32(gain) for piece, piece_audio in pieces.items()}
    recipe = recipe | {"effects": chain, "lufs": lufs, "pan": pan, "gain": gain}
    return RenderedStem(
        name=name,
        part=part.name,
        instrument=part.instrument,
        program=sound.program if isinstance(sound, Patch) else part.program,
        is_drum=part.is_drum,
        notes=plan.notes,
        audio=audio * np.float32(gain),
        pieces=pieces,
        recipe=recipe,
    )
