"""Music code by code: what is missing of some codes is drawn, given everything before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.nn.transformer import Past
from soli.systems.rqvae.music.network import RQTransformer

WANTED = -1
"""Stands where a code is to be drawn."""

COLDEST = 1e-6
"""Lowest temperature: below it the likeliest code is drawn all the same, until the logits overflow."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a code is drawn.

    Attributes:
        temperature: divides the logits; below 1 the likely becomes likelier.
        top_k: only the so many likeliest codes; 0 for all.
        top_p: only the fewest codes that together have this probability; 1 for all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= COLDEST):
            raise SoliError(f"temperature={self.temperature}; allowed: {COLDEST:g} or more")
        if self.top_k < 0:
            raise SoliError(f"top_k={self.top_k}; allowed: 1 or more, 0 for all codes")
        if not 0 < self.top_p <= 1:
            raise SoliError(f"top_p={self.top_p}; allowed: above 0, up to 1")


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """What codes are drawn with.

    Args:
        logits: `[B V]`.
        sampling: how to draw.

    Returns:
        `[B V]`, sums to one.
    """
    logits = logits.double() / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if sampling.top_p < 1:
        ranked, places = logits.sort(dim=-1, descending=True)
        chances = ranked.softmax(dim=-1)
        needless = chances.cumsum(dim=-1) - chances >= sampling.top_p  # those before it are enough
        logits = logits.masked_fill(needless.gather(-1, places.argsort(dim=-1)), -math.inf)
    return logits.softmax(dim=-1)


def draw(logits: Tensor, sampling: Sampling, dice: torch.Generator) -> Tensor:
    """Draw a code for each row.

    Args:
        logits: `[B V]`.
        sampling: how to draw.
        dice: on the CPU.

    Returns:
        `[B]`.
    """
    drawn = torch.multinomial(probabilities(logits.cpu(), sampling), 1, generator=dice)
    return drawn[:, 0].to(logits.device)


@torch.inference_mode()
def complete(
    network: RQTransformer,
    codes: Tensor,
    sampling: Sampling,
    seed: int,
    after_frame: Callable[[], None] | None = None,
) -> Tensor:
    """Draw the missing codes; what is given stays as it is.

    Args:
        network: trained.
        codes: `[B S K N]`, `WANTED` where a code is to be drawn, the same for all items; of a frame, each stem is given
            or wanted as a whole.
        sampling: how to draw.
        seed: of the draws.
        after_frame: called after every frame of which something was drawn.

    Returns:
        `[B S K N]`.

    Raises:
        SoliError: for a stem that is given in part, or a seed out of range.
    """
    if not 0 <= seed < 2**63:
        raise SoliError(f"seed={seed}; allowed: 0 to {2**63 - 1}")
    wanted = codes == WANTED
    if (wanted != wanted[:1, :, :1]).any():
        raise SoliError("codes of a frame are missing in part; allowed: a stem given or wanted as a whole")
    dice = torch.Generator().manual_seed(seed)
    codes, music = codes.clone(), _Music(network)
    for frame, missing in enumerate(wanted[0, :, 0].T.tolist()):  # by stem
        if any(missing):
            state = music.state(codes, frame)
            codes[..., frame] = _frame(network, state, codes[..., frame], missing, sampling, dice)
            if after_frame is not None:
                after_frame()
    return codes


class _Music:
    """States of later and later frames, from cached keys and values; those before them are heard in one go.

    The memory holds so many frames as the transformer was trained on. When it is full, the older half is forgotten and
    the younger one heard again as the beginning of a piece.
    """

    def __init__(self, network: RQTransformer) -> None:
        self.network, self.first, self.heard, self.past = network, 0, 0, None
        self.past: list[Past] | None

    def state(self, codes: Tensor, frame: int) -> Tensor:
        """Of a frame, `[B D]`, given the codes `[B S K N]` before it."""
        first = first_remembered(frame, self.network.config.n_frames)
        if self.past is None or first > self.first:
            self.first, self.past = first, None
            inputs = self.network.frame_inputs(codes[..., first : frame + 1])
        else:
            inputs = self.network.embedded(codes[..., self.heard : frame])
        state, self.past = self.network.next_state(inputs, self.past)
        self.heard = frame
        return state


def first_remembered(frame: int, size: int) -> int:
    """The first frame that a memory of `size` frames still holds when the codes of `frame` are drawn."""
    step = size - size // 2  # what is forgotten at a time
    return 0 if frame < size else ((frame - size) // step + 1) * step


def _frame(
    network: RQTransformer, state: Tensor, codes: Tensor, missing: list[bool], sampling: Sampling, dice: torch.Generator
) -> Tensor:
    """Draw the missing stems of a frame `[B S K]`, after the given ones."""
    order = sorted(range(len(missing)), key=lambda stem: missing[stem])
    orders = torch.tensor(order, device=codes.device).expand(len(codes), -1)
    n_levels, n_given = codes.shape[2], missing.count(False) * codes.shape[2]
    codes, past, heard = codes.clamp(min=0), None, 0
    for place in range(n_given, len(order) * n_levels):
        inputs = network.code_inputs(state, codes, orders)[:, heard : place + 1]
        hidden, past = network.depth.extend(inputs, past)
        stem, level = order[place // n_levels], place % n_levels
        logits = network.code_logits(hidden[:, -1:], stem * n_levels + level)[0]
        codes[:, stem, level] = draw(logits, sampling, dice)
        heard = place + 1
    return codes
