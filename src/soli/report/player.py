"""The multitrack player: one lane per track, everything in step."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from soli.report.assets import fill
from soli.report.colour import ink_palette, source_colours
from soli.report.data import Array, ReportData
from soli.report.images import common_peak, image_uri, strip_levels, waveform_paths
from soli.report.sound import LONGEST_SECONDS, embed
from soli.report.text import clock, duration, label

_RANGE_DB = 60.0
_WIDTH, _HEIGHT = 700, 200
_VERSUS = (
    '<button class="versus" type="button" aria-pressed="false" title="Hear the true stem in its place">truth</button>\n'
)
_KEYS = (
    '<span class="keys"> <kbd>Space</kbd> plays, <kbd>1</kbd>\N{EN DASH}<kbd>9</kbd> solo a lane, '
    "<kbd>\N{LEFTWARDS ARROW}</kbd> <kbd>\N{RIGHTWARDS ARROW}</kbd> move by 5 s.</span>"
)


def player_section(data: ReportData) -> str:
    """Draw the player and embed its audio.

    Args:
        data: mixture, stems and, where known, true stems.

    Returns:
        HTML.
    """
    longest = LONGEST_SECONDS * data.sample_rate
    tracks = {"mixture": data.mixture, **data.stems}
    tracks = {name: audio[:, :longest] for name, audio in tracks.items()}
    truths = {name: audio[:, :longest] for name, audio in data.truths.items() if name in data.stems}
    seconds = tracks["mixture"].shape[-1] / data.sample_rate
    listing, sounds = _audio(tracks, truths, data.sample_rate)
    transport = fill("transport.html", total=clock(seconds), seconds=f"{seconds:.3f}")
    body = "".join(_lanes(tracks, set(truths), data.sample_rate))
    return (
        f'<div class="player" data-view="spectrogram">\n{transport}{body}'
        f'<div class="hint">{_hint(data, seconds)}</div>\n</div>\n'
        f'<script type="application/json" id="player-data">{_json({"duration": seconds, "tracks": listing})}</script>\n'
        f"{sounds}"
    )


def _audio(
    tracks: Mapping[str, Array], truths: Mapping[str, Array], sample_rate: int
) -> tuple[list[dict[str, str]], str]:
    """What the script must know of each lane, and the elements that hold the sound."""
    listing, sounds = [], {}
    for index, (name, audio) in enumerate(tracks.items()):
        entry = {"name": name, "estimateId": f"sound-{index}"}
        sounds[entry["estimateId"]] = audio
        if name in truths:
            entry["truthId"] = f"sound-{index}-truth"
            sounds[entry["truthId"]] = truths[name]
        listing.append(entry)
    texts = embed(sounds, sample_rate)
    return listing, "\n".join(f'<script type="text/plain" id="{key}">{text}</script>' for key, text in texts.items())


def _lanes(tracks: Mapping[str, Array], with_truth: set[str], sample_rate: int) -> list[str]:
    """One lane per track; levels and amplitudes are on one scale, so that lanes can be compared."""
    colours = source_colours(tuple(tracks))
    peak = max(common_peak(audio) for audio in tracks.values())
    levels = {name: strip_levels(audio, sample_rate) for name, audio in tracks.items()}
    loudest = max(float(np.quantile(level, 0.999)) for level in levels.values())
    lanes = []
    for name, audio in tracks.items():
        extremes, level = waveform_paths(audio, peak, columns=_WIDTH, height=_HEIGHT)
        lane = fill(
            "lane.html",
            name=label(name),
            colour=colours[name],
            pick=" pick" if name in with_truth else "",
            versus=_VERSUS if name in with_truth else "",
            muted="true" if name == "mixture" else "false",
            image=image_uri(levels[name], loudest - _RANGE_DB, loudest, ink_palette(colours[name])),
            width=min(_WIDTH, audio.shape[-1]),
            height=_HEIGHT,
            peak=extremes,
            level=level,
        )
        lanes.append(lane)
    return lanes


def _hint(data: ReportData, seconds: float) -> str:
    text = "The mixture is muted so that you hear the stems together; its S lets you compare." + _KEYS
    if data.duration > seconds + 0.5:
        text = f"Here are the first {duration(seconds)} of {duration(data.duration)}; the stems are whole. {text}"
    return text


def _json(value: object) -> str:
    """JSON that cannot end the script element around it."""
    return json.dumps(value).replace("<", "\\u003c")
