"""Models that are used in another way than by themselves.

Corrected by Gibbs steps, heard through their codes, or with another config: `with[engine=search]:flowprior`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from soli.baselines.gibbs import Gibbs
from soli.config import overridden
from soli.errors import SoliError
from soli.separator import Separator
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.streaming import decode_stream, encode_stream
from soli.zoo import load, reconfigured

GIBBS, CODEC, WITH = "gibbs", "codec", "with"
USAGES = ("gibbs-N:MODEL", "codec[-K]:MODEL", "with[KEY=VALUE,...]:MODEL")


class Wrapped(NamedTuple):
    """A name, taken apart.

    Attributes:
        kind: `gibbs`, `codec` or `with`.
        number: of steps, or of levels; None for all levels.
        model: what `soli.load` takes.
        changes: of the model's config, `key=value`.
    """

    kind: str
    number: int | None
    model: str
    changes: tuple[str, ...] = ()


class Decoded(Separator):
    """What the codes of a mixture alone give, of any length and by the way of `soli encode` and `soli decode`.

    Codes are of one channel, so every channel of the estimates is the same.

    Args:
        separator: with codes.
        n_levels: only the first so many codebooks; None for all.

    Raises:
        SoliError: for a separator without codes, or with fewer codebooks.
    """

    def __init__(self, separator: Separator, n_levels: int | None = None) -> None:
        super().__init__()
        self.sample_rate, self.sources = separator.sample_rate, separator.sources
        self.segment_seconds, self.context_seconds = separator.segment_seconds, separator.context_seconds
        if not (isinstance(separator, CodecSeparator) and separator.n_codebooks):
            raise SoliError("this model has no codes to decode; allowed: models of the system rqvae with codebooks")
        if n_levels is not None and not 1 <= n_levels <= separator.n_codebooks:
            raise SoliError(f"{n_levels} levels of codes; allowed for this model: 1 to {separator.n_codebooks}")
        self.separator, self.n_levels = separator, n_levels

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        stems = torch.stack([self._heard(item) for item in mixture.float().cpu()])
        return stems.expand(-1, -1, mixture.shape[1], -1).to(mixture.device)

    def _heard(self, mixture: Tensor) -> Tensor:
        """`[C T]` -> `[S 1 T]`."""
        codes, n_samples = encode_stream(self.separator, [mixture], self.sample_rate)
        return torch.cat(list(decode_stream(self.separator, codes[:, : self.n_levels], n_samples)), dim=-1)


def find_wrapped(name: str) -> Wrapped | None:
    """Take a name apart.

    Args:
        name: such as `gibbs-16:runs/x/model`, `codec:default`, `codec-4:default` or `with[iterations=50]:runs/x/model`.

    Returns:
        Its parts, or None for a name of another kind.

    Raises:
        SoliError: for a number that is missing or not allowed, or no model.
    """
    if name.startswith(f"{WITH}["):
        return _with_changes(name)
    head, colon, model = name.partition(":")
    kind, dash, number = head.partition("-")
    if kind not in (GIBBS, CODEC) or not colon:
        return None
    least = 0 if kind == GIBBS else 1
    counted = number.isdecimal() and int(number) >= least
    if not model or not (counted or (kind == CODEC and not dash)):
        raise SoliError(f"{name!r}; allowed: {', '.join(USAGES)}, with N 0 or more and K 1 or more")
    return Wrapped(kind, int(number) if counted else None, model)


def load_wrapped(wrapped: Wrapped, device: str = "cpu") -> Separator:
    """Load a model for the use that its name says.

    Args:
        wrapped: from `find_wrapped`.
        device: as for `soli.load`.

    Returns:
        The separator in evaluation mode.

    Raises:
        SoliError: for a model that cannot be loaded, or cannot be used so.
    """
    separator = load(wrapped.model, device)
    if wrapped.kind == WITH:
        return reconfigured(separator, overridden({}, wrapped.changes))
    try:
        use = Gibbs(separator, wrapped.number or 0) if wrapped.kind == GIBBS else Decoded(separator, wrapped.number)
    except SoliError as error:
        raise SoliError(f"{wrapped.model}: {error}") from error
    return use.eval()


def _with_changes(name: str) -> Wrapped:
    inside, bracket, model = name.removeprefix(f"{WITH}[").partition("]:")
    if not inside or not bracket or not model:
        raise SoliError(f"{name!r}; allowed: {USAGES[-1]}")
    return Wrapped(WITH, None, model, tuple(inside.split(",")))
