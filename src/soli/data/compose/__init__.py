"""Songs from nothing: theory, tables and a seed become parts, and parts become a MIDI file."""

from soli.data.compose.instruments import INSTRUMENTS
from soli.data.compose.midi import from_midi, to_midi
from soli.data.compose.mma import compose_with_mma
from soli.data.compose.score import Note, Part, Song
from soli.data.compose.song import compose
from soli.data.compose.styles import STYLES

__all__ = ["INSTRUMENTS", "STYLES", "Note", "Part", "Song", "compose", "compose_with_mma", "from_midi", "to_midi"]
