"""Groups that were found without being named: the cluster table of "others" separation, and how good a grouping is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from soli.dsp.stft import stft
from soli.errors import SoliError
from soli.evaluation.metrics.assignment import assign
from soli.evaluation.metrics.ratios import si_sdr
from soli.nn.silhouette import check_labels, silhouette

__all__ = [
    "Assignment",
    "ClusterTable",
    "assignment_entropy",
    "best_permutation_si_sdr",
    "cluster_table",
    "silhouette",
]

_WORST_DB = 1000.0  # stands for infinity where numbers must be added


class ClusterTable(NamedTuple):
    """What each cluster, decoded on its own, holds of the mixture.

    Attributes:
        mse: mean squared difference of the mixture and the sum of the clusters, `[...]`.
        energy_percent: energy of each cluster, 100 for the mixture's, `[... K]`; NaN for a silent mixture.
        energy_sum: sum of the energies over the mixture's, `[...]`; NaN for a silent mixture.
        entropy_bits: entropy of the mean magnitude spectrum, `[... K]`; NaN for a silent cluster.
        sparsity: Hoyer's measure of the same spectrum, 1 for a single bin, 0 for a flat one, `[... K]`; NaN for a
            silent cluster.
    """

    mse: Tensor
    energy_percent: Tensor
    energy_sum: Tensor
    entropy_bits: Tensor
    sparsity: Tensor


class Assignment(NamedTuple):
    """References with the estimates that suit them best.

    Attributes:
        si_sdr: `[... S]` in dB; NaN where the reference is silent or no estimate was left for it.
        order: index of the estimate for each reference, `[... S]`; -1 where there is none.
    """

    si_sdr: Tensor
    order: Tensor


def cluster_table(mixtures: Tensor, clusters: Tensor, *, n_fft: int = 1024, hop_length: int = 256) -> ClusterTable:
    """Compare the clusters of a mixture with it and with each other.

    The spectrum of a cluster is its STFT magnitude, mean over frames and channels. Silence: see `ClusterTable`; silent
    frames count.

    Args:
        mixtures: `[... C T]`.
        clusters: `[... K C T]`.
        n_fft: window length in samples; entropy and sparsity depend on it.
        hop_length: distance between frames in samples.

    Returns:
        The table, double precision.

    Raises:
        SoliError: the shapes do not fit each other.
    """
    if clusters.ndim < 3 or clusters.shape[:-3] + clusters.shape[-2:] != mixtures.shape or 0 in clusters.shape:
        shapes = f"mixtures {list(mixtures.shape)}, clusters {list(clusters.shape)}"
        raise SoliError(f"{shapes}; a cluster table needs [... C T] and [... K C T], no axis empty")
    mixtures, clusters = mixtures.double(), clusters.double()
    power = mixtures.square().sum((-2, -1)).unsqueeze(-1)
    share = (clusters.square().sum((-2, -1)) / power).masked_fill(power == 0, float("nan"))
    spectrum = stft(clusters, n_fft, hop_length).abs().mean((-3, -1))  # [... K F]
    total, n_bins = spectrum.sum(-1), spectrum.shape[-1]
    part = spectrum / total[..., None]
    return ClusterTable(
        mse=(mixtures - clusters.sum(-3)).square().mean((-2, -1)),
        energy_percent=100 * share,
        energy_sum=share.sum(-1),
        entropy_bits=-torch.xlogy(part, part).sum(-1) / math.log(2),
        sparsity=(n_bins**0.5 - total / spectrum.square().sum(-1).sqrt()) / (n_bins**0.5 - 1),
    )


def assignment_entropy(labels: Tensor, *, with_noise: bool = False) -> Tensor:
    """Entropy of how the frames are shared among the clusters.

    Args:
        labels: cluster of each frame, integers `[... N]`; a negative one (DBSCAN's -1) is noise.
        with_noise: count the noise as a cluster of its own, else its frames are left out.

    Returns:
        `[...]` in bits, 0 for a single cluster; NaN where no frame is left.

    Raises:
        SoliError: the labels are not integers with at least one axis.
    """
    check_labels(labels)
    labels = labels.long().clamp(min=-1)
    first = -1 if with_noise else 0
    names = torch.arange(first, int(labels.max().item()) + 1 if labels.numel() else first, device=labels.device)
    counts = (labels[..., None] == names).sum(-2).double()
    share = counts / counts.sum(-1, keepdim=True)
    entropy = -torch.xlogy(share, share).sum(-1) / math.log(2)
    return entropy.masked_fill(counts.sum(-1) == 0, float("nan"))


def best_permutation_si_sdr(references: Tensor, estimates: Tensor) -> Assignment:
    """SI-SDR with the estimates in the order that makes its sum largest; their number may be another.

    Silence: a silent reference takes no estimate and has NaN; a silent estimate is minus infinity to whoever must
    take it. Estimates that no reference needs are not punished: read the number of them beside this.

    Args:
        references: `[... S C T]`.
        estimates: `[... K C T]`.

    Returns:
        Values and order.

    Raises:
        SoliError: the shapes do not fit each other.
    """
    fits = references.ndim >= 3 and estimates.ndim == references.ndim
    if not fits or references.shape[:-3] + references.shape[-2:] != estimates.shape[:-3] + estimates.shape[-2:]:
        shapes = f"references {list(references.shape)}, estimates {list(estimates.shape)}"
        raise SoliError(f"{shapes}; [... S C T] and [... K C T] are needed, equal but for S and K")
    candidates = [si_sdr(references, one.expand_as(references)) for one in estimates.split(1, dim=-3)]
    values = torch.stack(candidates, dim=-1)  # [... S K]
    flat = values.flatten(0, -3) if values.ndim > 2 else values[None]
    order = torch.stack([_pair(item) for item in flat]).view(values.shape[:-1])
    chosen = values.gather(-1, order.clamp(min=0)[..., None])[..., 0]
    return Assignment(chosen.masked_fill(order < 0, float("nan")), order)


def _pair(values: Tensor) -> Tensor:
    """SI-SDR of every pair, `[S K]` -> the estimate of each reference `[S]`, -1 for none."""
    order = torch.full((len(values),), -1, device=values.device)
    sounding = (~values.isnan()).all(-1).nonzero().flatten()
    scores = values[sounding].nan_to_num(posinf=_WORST_DB, neginf=-_WORST_DB)
    if len(sounding) <= values.shape[1]:
        order[sounding] = torch.tensor(assign(scores), dtype=order.dtype, device=order.device)
    else:
        chosen = torch.tensor(assign(scores.mT), device=order.device)
        order[sounding[chosen]] = torch.arange(len(chosen), device=order.device)
    return order
