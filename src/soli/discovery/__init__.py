"""Sources nobody has named, found in files: split off what has a name, discover in the rest, write what came out."""

from soli.discovery.files import Discovery, discover_file
from soli.discovery.front_ends import NO_FRONT_END, Split, load_front_end, split_off
from soli.discovery.names import instrument_names, load_labeller

__all__ = [
    "NO_FRONT_END",
    "Discovery",
    "Split",
    "discover_file",
    "instrument_names",
    "load_front_end",
    "load_labeller",
    "split_off",
]
