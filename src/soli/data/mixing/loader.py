"""Batches of mixtures, prepared by worker processes while the network trains."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from soli.data.mixing.mixer import Mixer


class MixtureStream(IterableDataset[Tensor]):
    """The mixtures `first, first + 1, …` of a mixer, in turns of whole batches among data-loader workers.

    Worker k of n makes the batches k, k + n, …: the loader asks the workers in turn, so that the batches come in the
    same order for any number of them.

    Args:
        mixer: draws the mixtures.
        first: index of the first one: a resumed training goes on where it stopped.
        batch_size: mixtures in a turn.
        share: which of how many processes takes them: process r of w has the batches r, r + w, …
    """

    def __init__(self, mixer: Mixer, first: int = 0, batch_size: int = 1, share: tuple[int, int] = (0, 1)) -> None:
        self.mixer, self.first, self.batch_size, self.share = mixer, first, batch_size, share

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        number, n_workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        rank, n_processes = self.share
        for batch in count(number, n_workers):
            begin = self.first + (batch * n_processes + rank) * self.batch_size
            for index in range(begin, begin + self.batch_size):
                yield torch.from_numpy(self.mixer.mixture(index))


def batches(
    mixer: Mixer,
    *,
    batch_size: int,
    first: int = 0,
    n_workers: int = 1,
    prefetch: int = 4,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Tensor]:
    """Endless batches, the same ones in the same order for any number of workers.

    Args:
        mixer: draws the mixtures.
        batch_size: B.
        first: index of the first mixture.
        n_workers: processes that prepare them; 0 prepares each batch in this one, when it is asked for.
        prefetch: batches that each worker holds ready.
        share: which process of how many this is; together they have every mixture once.

    Returns:
        An iterator over `[B S C T]`, in pinned memory where there is a CUDA device.
    """
    loader = DataLoader(
        MixtureStream(mixer, first, batch_size, share),
        batch_size=batch_size,
        num_workers=n_workers,
        prefetch_factor=prefetch if n_workers else None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # a seed drawn from torch's own state would set a resumed run apart
    )
    return iter(loader)
