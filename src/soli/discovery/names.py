"""Names for sources that were found: the instrument whose prior is surest that it sounds there, if one is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.audio import resample
from soli.discovery.front_ends import NAMED
from soli.errors import SoliError
from soli.separator import Separator
from soli.zoo import bundled_priors, load

_SURE = 0.5
_GENERAL = (*NAMED, "other")


@runtime_checkable
class Labeller(Protocol):
    """What can tell which instruments sound, such as a `flowprior`."""

    sources: tuple[str, ...]
    sample_rate: int

    @property
    def window_samples(self) -> int:
        """Samples of the windows that are judged; they overlap by half."""
        ...

    def presence(self, mixture: Tensor) -> tuple[Tensor, ...]:
        """`[B T]` -> probability of each instrument in each window, `[B S W]`, first of all."""
        ...


def load_labeller(name: str | None, device: str = "cpu", *, separator: Separator | None = None) -> Labeller | None:
    """Get priors of instruments ready.

    Args:
        name: such as `flowprior:guitar,piano`; None takes the bundled instruments beside vocals, drums and bass.
        device: for the priors.
        separator: finds the sources; if it has names of its own for them (`names_sources`), they stay unless priors are
            asked for.

    Returns:
        The priors; None where there are none to take.

    Raises:
        SoliError: for a name that is not of priors.
    """
    if name is None and getattr(separator, "names_sources", False):
        return None
    if name is None:
        bundled = [prior for prior in bundled_priors() if prior not in _GENERAL]
        if not bundled:
            return None
        name = f"flowprior:{','.join(bundled)}"
    labeller = load(name, device)
    if not isinstance(labeller, Labeller):
        raise SoliError(f"{name} cannot name instruments; allowed: priors such as flowprior:guitar,piano")
    return labeller


@torch.inference_mode()
def instrument_names(stems: Tensor, sources: tuple[str, ...], sample_rate: int, labeller: Labeller) -> tuple[str, ...]:
    """Name stems after the instruments they likely are.

    Args:
        stems: `[S C T]`.
        sources: what they are called so far.
        sample_rate: of the stems, in Hz.
        labeller: knows instruments.

    Returns:
        S different names; several stems of one instrument are numbered, and one that is none of them keeps its name.
    """
    found = [_likely(stem, sample_rate, labeller) for stem in stems]
    names, counts = [], {name: found.count(name) for name in found if name}
    for index, (name, own) in enumerate(zip(found, sources, strict=True)):
        if name is None:
            names.append(own)
        else:
            names.append(f"{name}{found[: index + 1].count(name)}" if counts[name] > 1 else name)
    return tuple(names)


def _likely(stem: Tensor, sample_rate: int, labeller: Labeller) -> str | None:
    """The instrument of a stem `[C T]`: probabilities of its windows count as much as their energy."""
    mono = resample(stem.mean(dim=0, keepdim=True).cpu().float(), sample_rate, labeller.sample_rate)
    window = labeller.window_samples
    mono = F.pad(mono, (0, max(window - mono.shape[-1], 0)))
    energies = mono[0].unfold(0, window, window // 2).square().sum(dim=-1)
    if float(energies.sum()) == 0:
        return None
    parameter = next(labeller.parameters(), None) if isinstance(labeller, torch.nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    chances = labeller.presence(mono.to(device))[0][0].cpu()  # [S W]
    count = min(chances.shape[1], len(energies))
    weights = energies[:count] / energies[:count].sum().clamp(min=1e-12)
    chance = (chances[:, :count] * weights).sum(dim=1)
    best = int(chance.argmax())
    return labeller.sources[best] if float(chance[best]) >= _SURE else None
