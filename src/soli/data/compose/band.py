"""Who is in the band, and who plays when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from soli.data.compose.instruments import DRUMS, INSTRUMENTS
from soli.data.compose.score import Metre, Section, draw, stream
from soli.data.compose.styles import Slot, Style

_LOUD = ("chorus", "solo")
_SUNG = ("verse", "prechorus", "chorus", "bridge")


@dataclass(frozen=True)
class Player:
    """A part before it has notes: `quiet` and `loud` name its patterns in verses and in choruses."""

    name: str
    role: str
    instrument: str
    program: int
    quiet: str
    loud: str

    def pattern(self, section: Section) -> str:
        """What it plays in a section."""
        return self.loud if section.name in _LOUD else self.quiet


def draw_band(seed: int, style: Style, metre: Metre) -> tuple[Player, ...]:
    """Drums, bass and two to six others, of at least two classes.

    Args:
        seed: of the song.
        style: seats and patterns.
        metre: of the song.

    Returns:
        Players with names of their own.
    """
    rng = stream(seed, "band")
    seats = [slot for slot in style.slots if rng.random() < slot.chance]
    if not any(slot.role in ("lead", "vocals") for slot in seats):
        seats.append(next(slot for slot in style.slots if slot.role == "lead"))
    seats = seats[: rng.choice((4, 5, 6))]
    others = [_seated(rng, slot) for slot in seats]
    for slot in style.slots:
        if len({player.instrument for player in others}) < 2 and slot not in seats:
            others.append(_seated(rng, slot))
    drums = Player("drums", "drums", DRUMS, rng.choice(style.kits), *_two(rng, style.grooves[metre.name]))
    bass = Player("bass", "bass", "bass", rng.choice(style.bass_programs), *_two(rng, style.bass))
    return _with_own_names([drums, bass, *others])


def draw_activity(seed: int, band: tuple[Player, ...], sections: tuple[Section, ...]) -> dict[str, tuple[str, ...]]:
    """Who plays when.

    Args:
        seed: of the song.
        band: the players.
        sections: the form.

    Returns:
        Player's name -> for each section `"plays"`, `"answers"` (only where the singer ends a phrase) or `"rests"`.
        Nobody rests throughout, everybody plays the ending, and in every section at least two play.
    """
    rng = stream(seed, "activity")
    sung = any(player.role == "vocals" for player in band)
    first_comp = next((player for player in band if player.role == "comp"), band[1])
    table: dict[str, list[str]] = {}
    for player in band:
        table[player.name] = [
            "plays" if player is first_comp or section.is_ending else _activity(rng, player, section, sung=sung)
            for section in sections
        ]
        if set(table[player.name][:-1]) == {"rests"}:
            busiest = max(sections[:-1], key=lambda section: section.energy).name
            table[player.name] = ["plays" if s.name in (busiest, "ending") else "rests" for s in sections]
    for index in range(len(sections)):
        if sum(row[index] == "plays" for row in table.values()) < 2:
            table["bass" if first_comp.name != "bass" else "drums"][index] = "plays"
    return {name: tuple(row) for name, row in table.items()}


def _activity(rng: random.Random, player: Player, section: Section, *, sung: bool) -> str:
    chance = {
        "drums": {"intro": 0.6, "bridge": 0.8}.get(section.name, 1.0),
        "bass": {"intro": 0.6, "bridge": 0.9}.get(section.name, 1.0),
        "comp": 0.3 + 0.7 * section.energy,
        "colour": section.energy,
        "vocals": 1.0 if section.name in _SUNG else 0.4 if section.name == "outro" else 0.0,
        "lead": {"intro": 0.5, "solo": 1.0, "outro": 0.7}.get(section.name, 0.4 if sung else 0.95),
    }[player.role]
    if rng.random() >= chance:
        return "rests"
    return "answers" if player.role == "lead" and sung and section.name in _SUNG else "plays"


def _seated(rng: random.Random, slot: Slot) -> Player:
    name = rng.choice(slot.instruments)
    instrument = INSTRUMENTS[name]
    solo = slot.role == "lead"
    programs = [program for program in instrument.programs if not slot.programs or program in slot.programs]
    suited = [program for program in programs if (program in instrument.solo) == solo]
    quiet = rng.choice(slot.patterns)
    loud = quiet if rng.random() < 0.5 else rng.choice(slot.patterns)
    label = slot.role if slot.role in ("lead", "vocals") else name
    return Player(label, slot.role, name, rng.choice(suited or programs or list(instrument.programs)), quiet, loud)


def _two(rng: random.Random, weights: dict[str, float]) -> tuple[str, str]:
    """A pattern for verses and one for choruses, most often the same."""
    first = draw(rng, weights)
    return first, draw(rng, weights) if rng.random() < 0.4 else first


def _with_own_names(players: list[Player]) -> tuple[Player, ...]:
    named: list[Player] = []
    for player in players:
        same = sum(other.name.split(" ")[0] == player.name for other in named)
        name = f"{player.name} {same + 1}" if same else player.name
        named.append(
            Player(name, player.role, player.instrument, player.program, player.quiet, player.loud) if same else player
        )
    return tuple(named)
