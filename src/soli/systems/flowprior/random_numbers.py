"""Random numbers for each prior by itself, so that what one draws does not depend on the stems of the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def draw_seeds(count: int) -> list[int]:
    """Seeds out of the random numbers of the training, of which that takes the same number every time.

    Args:
        count: how many.

    Returns:
        One for each prior.
    """
    return torch.randint(2**31, (count,)).tolist()


@contextmanager
def random_numbers_of_its_own(seed: int, device: torch.device) -> Iterator[None]:
    """Noise and dropout that depend on nothing but the seed.

    Args:
        seed: of what is drawn inside.
        device: on which it is drawn.

    Yields:
        Nothing; afterwards the caller's random numbers go on where they were.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
