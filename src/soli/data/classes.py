"""Which class a stem belongs to by its name, and the official MUSDB18 validation songs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soli.config import load_toml
from soli.errors import SoliError

CLASSES = ("vocals", "drums", "bass", "other")

MUSDB_STREAMS = ("mixture", "drums", "bass", "other", "vocals")
"""The order of the five audio streams in a MUSDB18 `.stem.mp4`."""

MUSDB_VALIDATION = (
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "ANiMAL - Rockshow",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)

TABLE_FILE = "classes.toml"
"""In the folder of a dataset: class -> list of names that belong to it, before those of `_ALIASES`."""

# fmt: off
_ALIASES = {
    "vocals": (
        "vocals", "vocal", "voice", "voices", "vox", "singing", "singer", "lead vocals", "lead vocal", "lead vox",
        "backing vocals", "background vocals", "backing vox", "choir",
    ),
    "drums": (
        "drums", "drum", "percussion", "drumkit", "drum kit", "drum machine", "kick", "kick drum", "bass drum", "snare",
        "snare drum", "tom", "toms", "hihat", "hi hat", "ride", "crash", "cymbals", "overhead", "overheads",
    ),
    "bass": (
        "bass", "uprightbass", "upright bass", "bass guitar", "electric bass", "synth bass", "double bass",
        "contrabass",
    ),
    "other": (
        "other", "guitar", "guitars", "acoustic guitar", "electric guitar", "rhythm guitar", "lead guitar", "lead",
        "melody", "piano", "electric piano", "keys", "keyboard", "keyboards", "organ", "harpsichord", "accordion",
        "harmonica", "synth", "synths", "synth lead", "synth pad", "pad", "strings", "violin", "viola", "cello", "harp",
        "banjo", "mandolin", "ukulele", "brass", "trumpet", "trombone", "horn", "horns", "french horn", "tuba",
        "woodwind", "flute", "clarinet", "oboe", "bassoon", "sax", "saxophone", "vibraphone", "marimba", "glockenspiel",
    ),
}
# fmt: on


@dataclass(frozen=True)
class ClassTable:
    """Names of stems and the class of each.

    Attributes:
        names: plain name -> class; see `plain`.
    """

    names: Mapping[str, str]

    def find(self, name: str) -> str | None:
        """The class of a name, or None when it is not in the table.

        Args:
            name: for example `"Drum"` or `"lead_vocals 2"`; case, `_`, `-` and a number at the end do not matter.

        Returns:
            The class.
        """
        return self.names.get(plain(name))

    def find_within(self, name: str) -> str | None:
        """The class of the longest known name that a longer one has among its words.

        Args:
            name: for example `"03 Bass Drum dry"`, which is drums, not bass.

        Returns:
            The class, or None.
        """
        words = f" {plain(name)} "
        known = [entry for entry in self.names if f" {entry} " in words]
        return self.names[max(known, key=len)] if known else None


TABLE = ClassTable({alias: name for name, aliases in _ALIASES.items() for alias in aliases})


def plain(name: str) -> str:
    """A name as the table has it.

    Args:
        name: of a file without its suffix, or of a folder.

    Returns:
        Lower case, words parted by one space, without a number at the end.
    """
    return re.sub(r"[\s\d]+$", "", re.sub(r"[\s_\-]+", " ", name.lower())).strip()


def class_of(stem: str) -> str | None:
    """The class of a stem by its file name without suffix, or None when the name is unknown.

    Args:
        stem: for example `"Drum"` or `"lead_vocals"`; case, `_`, `-` and a number at the end do not matter.

    Returns:
        One of `CLASSES`, or None.
    """
    return TABLE.find(stem)


def read_table(folder: Path) -> ClassTable:
    """The table for a dataset: that of `classes.toml` in its folder, then the built-in one.

    Args:
        folder: of the dataset. A line of its file reads `vocals = ["tenor", "second voice"]`; any class may be named.

    Returns:
        Both as one.

    Raises:
        SoliError: for a file that is not such a table.
    """
    path = folder / TABLE_FILE
    if not path.is_file():
        return TABLE
    own: dict[str, str] = {}
    for label, names in load_toml(path).items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SoliError(f"{path}: {label} = {names!r}; allowed: a list of names")
        own |= {plain(name): label for name in names}
    return ClassTable({**TABLE.names, **own})
