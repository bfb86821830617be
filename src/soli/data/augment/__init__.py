"""Changes to stems before they are mixed: time and pitch, colour and room, channels, level.

Every function takes all stems of a mixture at once, or all channels of a recording; none draws random numbers that are
not seeded by its arguments. They compute on one CPU thread when called within `one_thread`, so that the same numbers
give the same samples in every process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from soli.data.augment.channels import channel_matrix
from soli.data.augment.filters import EQUALISER_HZ, Room, colour, filter_size, filter_stems, rooms
from soli.data.augment.level import level_gains
from soli.data.augment.tempo import replay, resample, stretch

__all__ = [
    "EQUALISER_HZ",
    "Room",
    "channel_matrix",
    "colour",
    "filter_size",
    "filter_stems",
    "level_gains",
    "one_thread",
    "replay",
    "resample",
    "rooms",
    "stretch",
]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: how a sum is split among several changes its last bit.

    Yields:
        Nothing.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
