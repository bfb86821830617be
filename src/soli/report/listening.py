"""A page to listen to a dataset: a player for an excerpt of each of several songs."""

from __future__ import annotations

from collections.abc import Sequence

from soli.report.data import Excerpt, Figure
from soli.report.page import document, figure_section
from soli.report.player import player
from soli.report.text import duration, label

SONG_BUDGET = 900_000
"""Bytes of sound for one song."""


def listening_page(title: str, about: str, songs: Sequence[Excerpt], figures: Sequence[Figure] = ()) -> str:
    """Draw the page.

    Args:
        title: what the songs belong to.
        about: how they were chosen, in a sentence.
        songs: at least one.
        figures: before the songs.

    Returns:
        HTML.
    """
    drawn = [figure_section(figure) for figure in figures]
    parts = [_song(song, f"song-{index}", explained=index == 0) for index, song in enumerate(songs)]
    links = "".join(
        f'<li><a href="#song-{index}-title">{label(song.title)}</a></li>' for index, song in enumerate(songs)
    )
    heading = (
        f'<header><div class="eyebrow">soli \N{MIDDLE DOT} listening</div><h1>{label(title)}</h1>'
        f'<p>{label(about)}</p><ol class="contents">{links}</ol></header>'
    )
    return document(title, "\n".join([heading, *drawn, *parts]), "Its audio is a compressed copy for listening.")


def _song(song: Excerpt, key: str, *, explained: bool) -> str:
    channels = {1: "mono", 2: "stereo"}.get(len(song.mixture), f"{len(song.mixture)} channels")
    seconds = song.mixture.shape[-1] / song.sample_rate
    line = [song.about, duration(seconds), channels, f"{song.sample_rate / 1000:g} kHz"]
    tracks = {"mixture": song.mixture, **{name: stem for name, stem in song.stems.items() if name != "mixture"}}
    return (
        f'<section class="song"><h2 id="{key}-title">{label(song.title)}</h2>'
        f"<p>{label(' · '.join(part for part in line if part))}</p>"
        f"{player(tracks, song.sample_rate, key=key, budget=SONG_BUDGET, explained=explained)}</section>"
    )
