"""What the modern preset learns from: solos of its instruments, and whatever else may sound beside them.

No prior learns anything from another one's target: each has its own network, and to it the stems of all others are
but interference.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.dsp.frames import analyse
from soli.dsp.scale import USUAL_LEVEL, power
from soli.losses import Task
from soli.systems.flowprior.presence import PRESENT_DB
from soli.systems.flowprior.random_numbers import draw_seeds, random_numbers_of_its_own
from soli.systems.flowprior.separator import FlowPrior

_LEAST_POWER = 1e-8  # of a mixture: silence is no division by zero, and nothing is learned from it


class FlowPriorTask(Task[FlowPrior]):
    """Losses of the modern preset.

    Args:
        separator: to train.
        flow_weight: of the flows' likelihood; 0 trains the extractors alone.
        extractor_weight: of the extractors' error; 0 trains the flows alone.
        mixture_share: part of the mixture's energy that the extractors' error is relative to, beside the energy of the
            instrument itself; the smaller, the more quiet instruments count. Where one is silent its error is relative
            to the whole mixture.
        silent_db: level of a solo, relative to the mixture's usual one, below which no flow learns from it.
    """

    takes_bank: ClassVar[bool] = True

    def __init__(
        self,
        separator: FlowPrior,
        *,
        flow_weight: float = 1.0,
        extractor_weight: float = 1.0,
        mixture_share: float = 0.05,
        silent_db: float = -40.0,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.flow_weight, self.extractor_weight = flow_weight, extractor_weight
        self.mixture_share = mixture_share
        self.silent = USUAL_LEVEL * 10 ** (silent_db / 20)

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """The priors, which do not know each other; of each, extractor and flow do not either."""
        return tuple(part for prior in self.separator.priors for part in (prior.extractor, prior.flow))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`: those of `separator.sources`, then the bank of interference; mixed down to mono.

        Returns:
            `error` of the extractors (see `mixture_share`), `nll` of the flows (nats per band and frame).
        """
        config = self.separator.config
        n_own, n_samples = len(config.sources), stems.shape[-1] // config.hop_length * config.hop_length
        mono = stems.mean(dim=2)[..., :n_samples].float()
        mixture = mono.sum(dim=1)
        level = mixture.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6) / USUAL_LEVEL
        mixture, own = mixture / level, mono[:, :n_own] / level[:, None]
        targets = analyse(own, config.n_fft, config.hop_length)  # [B S N F]
        losses = {}
        if self.extractor_weight:
            losses["error"] = self.extractor_weight * self._error(mixture, targets)
        if self.flow_weight:
            losses["nll"] = self.flow_weight * self._nll(own, targets)
        return losses

    def _error(self, mixture: Tensor, targets: Tensor) -> Tensor:
        spectrogram = analyse(mixture, self.separator.config.n_fft, self.separator.config.hop_length)
        masks = self.separator.masks(mixture, spectrogram)
        error = power(masks * spectrogram[:, None] - targets).mean(dim=(-2, -1))
        mixed = power(spectrogram).mean(dim=(-2, -1))[:, None] + _LEAST_POWER
        own = power(targets).mean(dim=(-2, -1))
        level = torch.where(own > 10 ** (PRESENT_DB / 10) * mixed, own + self.mixture_share * mixed, mixed)
        return (error / level).mean()  # no logarithm: that would pay most for silence where an instrument is absent

    def _nll(self, own: Tensor, targets: Tensor) -> Tensor:
        sounding = own.square().mean(dim=-1).sqrt() > self.silent  # [B S]
        n_frames = targets.shape[2] // 2 * 2
        terms = []
        seeds = draw_seeds(len(self.separator.priors))
        for index, (prior, seed) in enumerate(zip(self.separator.priors, seeds, strict=True)):
            if (chosen := sounding[:, index]).any():
                bands = self.separator.bands(targets[chosen, index, :n_frames].abs())
                with random_numbers_of_its_own(seed, own.device):
                    terms.append(-prior.score(bands).mean())
        if not terms:
            return 0.0 * next(self.separator.priors[0].flow.parameters()).sum()
        return torch.stack(terms).sum() / len(self.separator.priors)
