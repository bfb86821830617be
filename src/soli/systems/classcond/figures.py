"""The seed's figures 2, 3 and 4 as plain arrays, from what the network says about one mixture.

`look` runs the network; the other functions know neither networks nor drawings: embeddings and masks in, numpy
out. `soli.report` draws what they return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soli.errors import SoliError
from soli.separator import Separator
from soli.systems.classcond.gaussians import Gaussians, posteriors
from soli.systems.classcond.paper import ClassCondPaper
from soli.systems.classcond.query import active_weights, query_mask
from soli.systems.classcond.separator import ClassCond

Array = NDArray[np.floating[Any]]
MOST_POINTS = 4000
RANGE_DB = 70.0
ACTIVE_DB = -50.0


@dataclass(frozen=True, kw_only=True)
class View:
    """One mixture as the embedding network sees it.

    Attributes:
        embedding: `[N F D]`.
        magnitude: of the mixture, channels together, `[N F]`.
        frequencies: centre of each bin or band in Hz, `[F]`, rising.
        seconds: what the N frames span.
        gaussians: of the classes.
        sources: names of the classes.
    """

    embedding: Tensor
    magnitude: Tensor
    frequencies: Array
    seconds: float
    gaussians: Gaussians
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The embedding projected on the two directions of its greatest variance.

    Attributes:
        points: `[P 2]`.
        labels: index of the most probable class of each point, `[P]`.
        centres: means of the class Gaussians, `[S 2]`.
        spreads: their covariances, `[S 2 2]`.
        explained: share of the variance each direction keeps, `[2]`.
    """

    points: Array
    labels: NDArray[np.int64]
    centres: Array
    spreads: Array
    explained: Array


@dataclass(frozen=True, kw_only=True)
class Narrowest:
    """The coordinate of the embedding in which one class varies least.

    Attributes:
        index: which coordinate.
        source: which class.
        variance: of the class in that coordinate.
        values: the coordinate's value in every bin, `[F N]`.
    """

    index: int
    source: str
    variance: float
    values: Array


@torch.no_grad()
def look(separator: Separator, mixture: Tensor) -> View | None:
    """Embed a few seconds of a mixture.

    Args:
        separator: any; only class-conditional ones embed.
        mixture: `[C T]` at the separator's rate; more than two channels are mixed down.

    Returns:
        What the network sees; None for another system.
    """
    parameter = next(separator.parameters(), None)
    mixture = mixture.to(mixture.device if parameter is None else parameter.device)
    if isinstance(separator, ClassCond):
        return _look_modern(separator, mixture)
    if isinstance(separator, ClassCondPaper):
        return _look_paper(separator, mixture)
    return None


def embedding_plane(view: View, *, most: int = MOST_POINTS, seed: int = 0) -> Plane:
    """Project the loud bins by principal component analysis (figure 2).

    Args:
        view: of a mixture.
        most: how many bins to keep, drawn at random.
        seed: of the draw.

    Returns:
        The points and the class Gaussians in the plane.

    Raises:
        SoliError: the mixture is silent, or the embedding has a single dimension.
    """
    samples = view.embedding[_loud(view)].double()
    if samples.shape[-1] < 2:
        raise SoliError("the embedding has 1 dimension; a plane needs at least 2")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(samples), generator=generator)[:most].to(samples.device)
    samples = samples[chosen]
    centre = samples.mean(dim=0)
    covariance = (samples - centre).T @ (samples - centre) / len(samples)
    variances, axes = torch.linalg.eigh(covariance)  # rising
    plane = axes[:, [-1, -2]] * axes[:, [-1, -2]].sum(dim=0).sign()  # eigenvectors have no sign of their own
    means, spread = view.gaussians.means.double(), view.gaussians.variances.double()
    spread = spread.expand_as(means)  # [S D]
    shares = variances[[-1, -2]] / variances.sum().clamp(min=1e-30)
    labels = posteriors(samples.float(), *view.gaussians).argmax(dim=-1)
    return Plane(
        points=_numpy((samples - centre) @ plane),
        labels=labels.cpu().numpy(),
        centres=_numpy((means - centre) @ plane),
        spreads=_numpy(torch.einsum("sd,di,dj->sij", spread, plane, plane)),
        explained=_numpy(shares),
    )


def narrowest_dimension(view: View) -> Narrowest:
    """Find where a class is narrowest (figure 3): with a diagonal covariance that coordinate is nearly its mask.

    A spherical covariance is the same in all coordinates; then the variance is measured over the loud bins,
    weighted by the class's posterior, and compared with the variance of all loud bins.

    Args:
        view: of a mixture.

    Returns:
        The coordinate and its values.

    Raises:
        SoliError: the mixture is silent.
    """
    samples = view.embedding[_loud(view)].double()
    variances = ratios = view.gaussians.variances.double()
    if variances.shape[1] == 1:
        variances = _measured_variances(samples, view.gaussians)
        ratios = variances / samples.var(dim=0, correction=0).clamp(min=1e-12)
    source, index = divmod(int(ratios.argmin()), ratios.shape[1])
    return Narrowest(
        index=index,
        source=view.sources[source] if len(variances) > 1 else "every class",
        variance=float(variances[source, index]),
        values=_numpy(view.embedding[..., index]).T,
    )


def example_mask(view: View, example: View) -> Tensor:
    """Where a mixture sounds like an example (figure 4, lower right), by the contrastive posterior.

    Args:
        view: of the mixture.
        example: of the isolated example, seen by the same network.

    Returns:
        0 to 1, `[N F]`.

    Raises:
        SoliError: the example is silent.
    """
    weights = active_weights(example.magnitude)
    return query_mask(view.embedding, example.embedding, weights, view.gaussians, mode="posterior")


def level(magnitude: Tensor, reference: float | None = None) -> Array:
    """Magnitudes `[N F]` as decibels `[F N]` below a reference, the loudest bin by default.

    Args:
        magnitude: `[N F]`.
        reference: the magnitude that is 0 dB.

    Returns:
        `[F N]`, not below -200 dB.
    """
    top = float(magnitude.max()) if reference is None else reference
    return _numpy(20 * torch.log10((magnitude.double() / max(top, 1e-30)).clamp(min=1e-10))).T


def masked_level(magnitude: Tensor, mask: Tensor) -> Array:
    """What a mask leaves of the mixture, on the mixture's own scale (figure 4, lower left).

    Args:
        magnitude: of the mixture, `[N F]`.
        mask: 0 to 1, `[N F]`.

    Returns:
        `[F N]` in dB below the mixture's loudest bin.
    """
    return level(magnitude * mask, float(magnitude.max()))


def _look_modern(separator: ClassCond, mixture: Tensor) -> View:
    """One embedding for both channels, in every bin but the Nyquist frequency's."""
    stereo = mixture if len(mixture) == 2 else mixture.mean(dim=0, keepdim=True).expand(2, -1)
    spectrogram = separator.transform(stereo[None])  # [1 2 N F]
    embedding, _ = separator.network.embedding(spectrogram)
    magnitude = spectrogram[0, ..., :-1].abs().square().sum(dim=0).sqrt()
    return View(
        embedding=embedding[0].movedim(0, -1),
        magnitude=magnitude,
        frequencies=np.arange(magnitude.shape[-1]) * separator.sample_rate / separator.config.n_fft,
        seconds=mixture.shape[-1] / separator.sample_rate,
        gaussians=_detached(separator.network.auxiliary()),
        sources=separator.sources,
    )


def _look_paper(separator: ClassCondPaper, mixture: Tensor) -> View:
    """The paper's network hears one channel, and its bins are mel bands."""
    front_end = separator.front_end
    magnitude = front_end.spectrogram(mixture.mean(dim=0, keepdim=True)).abs()  # [1 N F]
    bins = torch.linspace(0, separator.sample_rate / 2, magnitude.shape[-1], device=magnitude.device)
    return View(
        embedding=separator.embed(magnitude)[0],
        magnitude=front_end.project(magnitude)[0],
        frequencies=_numpy(front_end.project(bins)),
        seconds=mixture.shape[-1] / separator.sample_rate,
        gaussians=_detached(separator.auxiliary()),
        sources=separator.sources,
    )


def _detached(gaussians: Gaussians) -> Gaussians:
    """Views of a parameter ask for gradients even under `no_grad`."""
    return Gaussians(*(part.detach() for part in gaussians))


def _loud(view: View) -> Tensor:
    """Which bins say something, `[N F]`."""
    loud = active_weights(view.magnitude, ACTIVE_DB) > 0
    if not loud.any():
        raise SoliError("the mixture is silent; it has no embedding to draw")
    return loud


def _measured_variances(samples: Tensor, gaussians: Gaussians) -> Tensor:
    """Variance of each class in each coordinate, weighted by the posteriors, `[S D]`."""
    weights = posteriors(samples.float(), *gaussians).double()  # [P S]
    weights = weights / weights.sum(dim=0).clamp(min=1e-12)
    means = weights.T @ samples
    return (weights.T @ samples.square() - means.square()).clamp(min=0)


def _numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy()
