"""The multitrack player: one lane per track, everything in step."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from soli.report.assets import fill
from soli.report.axes import FEW_HZ, frequency_ticks, time_ticks
from soli.report.colour import heat_palette, source_colours
from soli.report.data import Array
from soli.report.images import HIGHEST_HZ, common_peak, image_uri, strip_levels, waveform_paths
from soli.report.png import png_uri
from soli.report.sound import LONGEST_SECONDS, embed
from soli.report.text import clock, duration, label, number

_RANGE_DB = 60.0
_WIDTH, _HEIGHT = 700, 200
_VERSUS = (
    '<button class="versus" type="button" aria-pressed="false" aria-label="Reference" '
    'title="Hear and see the true stem in its place (r)">A/B</button>\n'
)
_KEYS = (
    ("Space", "plays"),
    ("\N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}", "move by 5 s"),
    ("Home", "goes to the start"),
    ("1\N{EN DASH}9", "solo a lane, with Shift several"),
    ("0", "ends all solos"),
    ("\N{UPWARDS ARROW} \N{DOWNWARDS ARROW}", "choose a lane while the player has the focus"),
    ("m", "mutes it"),
    ("s", "solos it"),
    ("l", "loops"),
    ("[ ]", "set where the loop begins and ends"),
)


def player(
    tracks: Mapping[str, Array],
    sample_rate: int,
    *,
    truths: Mapping[str, Array] | None = None,
    loudness: Mapping[str, float] | None = None,
    total_seconds: float | None = None,
    key: str = "player",
    budget: int | None = None,
    explained: bool = True,
) -> str:
    """Draw a player and embed its audio.

    Args:
        tracks: name -> `[C T]`, equally long; the one called "mixture" is muted at first.
        sample_rate: in Hz.
        truths: name of a track -> what it should be, `[C T]`.
        loudness: name of a track -> LUFS.
        total_seconds: length of the song where the tracks hold only its beginning.
        key: tells the players of a page apart.
        budget: bytes for all audio; None for what a page with one player may have.
        explained: whether scale and keys are told below it.

    Returns:
        HTML.
    """
    longest = LONGEST_SECONDS * sample_rate
    heard = {name: audio[:, :longest] for name, audio in tracks.items()}
    true = {name: audio[:, :longest] for name, audio in (truths or {}).items() if name in tracks}
    seconds = next(iter(heard.values())).shape[-1] / sample_rate
    listing, sounds = _audio(heard, true, sample_rate, key, budget)
    facts = {"duration": seconds, "tracks": listing}
    transport = fill(
        "transport.html",
        total=clock(seconds),
        seconds=f"{seconds:.3f}",
        ticks=time_ticks(seconds, most=8, edge=0.97),
    )
    hint = f'<div class="hint">{_hint(heard, true, seconds, total_seconds)}</div>\n' if explained else ""
    return (
        f'<div class="player" id="{key}" data-view="spectrogram" role="group" aria-label="Player">\n{transport}'
        f"{''.join(_lanes(heard, true, loudness or {}, sample_rate))}"
        f"{hint}"
        f'<script type="application/json" class="player-data">{_json(facts)}</script>\n{sounds}</div>\n'
    )


def _audio(
    tracks: Mapping[str, Array], truths: Mapping[str, Array], sample_rate: int, key: str, budget: int | None
) -> tuple[list[dict[str, str]], str]:
    """What the script must know of each lane, and the elements that hold the sound."""
    listing, sounds = [], {}
    for index, (name, audio) in enumerate(tracks.items()):
        entry = {"name": name, "estimateId": f"{key}-sound-{index}"}
        sounds[entry["estimateId"]] = audio
        if name in truths:
            entry["truthId"] = f"{key}-sound-{index}-truth"
            sounds[entry["truthId"]] = truths[name]
        listing.append(entry)
    texts = embed(sounds, sample_rate, budget)
    return listing, "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in texts.items())


def _lanes(
    tracks: Mapping[str, Array], truths: Mapping[str, Array], loudness: Mapping[str, float], sample_rate: int
) -> list[str]:
    """One lane per track; levels and amplitudes are on one scale, so that lanes can be compared."""
    colours = source_colours(tuple(tracks))
    peak = max(common_peak(audio) for audio in (*tracks.values(), *truths.values()))
    levels = {name: strip_levels(audio, sample_rate) for name, audio in tracks.items()}
    loudest = max(float(np.quantile(level, 0.999)) for level in levels.values())
    hertz = frequency_ticks(min(HIGHEST_HZ, sample_rate / 2), FEW_HZ)
    lanes = []
    for name, audio in tracks.items():
        pictures = _picture(name, "estimate", audio, levels[name], loudest, peak)
        if name in truths:
            true = truths[name]
            pictures += _picture(f"the true {name}", "truth", true, strip_levels(true, sample_rate), loudest, peak)
        lufs = f"<small>{_lufs(loudness[name])}</small>" if name in loudness else ""
        lane = fill(
            "lane.html",
            name=label(name),
            colour=colours[name],
            pick=" pick" if name in truths else "",
            versus=_VERSUS if name in truths else "",
            muted="true" if name == "mixture" and len(tracks) > 1 else "false",
            loudness=lufs,
            hertz=hertz,
            pictures=pictures,
        )
        lanes.append(lane)
    return lanes


def _picture(name: str, which: str, audio: Array, levels: NDArray[np.float64], loudest: float, peak: float) -> str:
    """Spectrogram and waveform of what a lane can play."""
    extremes, level = waveform_paths(audio, peak, columns=_WIDTH, height=_HEIGHT)
    return fill(
        "picture.html",
        which=which,
        name=label(name),
        image=image_uri(levels, loudest - _RANGE_DB, loudest, heat_palette(64)),
        width=min(_WIDTH, audio.shape[-1]),
        height=_HEIGHT,
        peak=extremes,
        level=level,
    )


def _hint(tracks: Mapping[str, Array], truths: Mapping[str, Array], seconds: float, total: float | None) -> str:
    """What to know before listening: scale, length, keys."""
    ramp = png_uri(np.arange(64, dtype=np.uint8)[None], heat_palette(64))
    text = (
        f'<div class="key"><span>\N{MINUS SIGN}{_RANGE_DB:.0f} dB</span><img src="{ramp}" alt="">'
        "<span>loudest; mel scale, raised by 3 dB per octave</span></div>"
    )
    if total is not None and total > seconds + 0.5:
        text += f"<p>Here are the first {duration(seconds)} of {duration(total)}; the stems are whole.</p>"
    if "mixture" in tracks and len(tracks) > 1:
        text += "<p>The mixture is muted so that you hear the stems together; its S lets you compare.</p>"
    keys = (*_KEYS, ("r", "swaps it for its reference")) if truths else _KEYS
    shown = ", ".join(f"<kbd>{key}</kbd> {what}" for key, what in keys)
    return f'{text}<p class="keys">{shown}.</p>'


def _lufs(value: float) -> str:
    return "silent" if value == -np.inf else f"{number(value, 1)} LUFS"


def _json(value: object) -> str:
    """JSON that cannot end the script element around it."""
    return json.dumps(value).replace("<", "\\u003c")
