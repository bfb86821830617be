"""What the paper preset learns from: the recordings of each instrument, and nothing about the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.errors import SoliError
from soli.losses import Task
from soli.systems.flowprior.paper import InstGlow
from soli.systems.flowprior.random_numbers import draw_seeds, random_numbers_of_its_own
from soli.systems.flowprior.spectrum import dequantise, inner_magnitudes


class InstGlowTask(Task[InstGlow]):
    """Negative log-likelihood of solos under their own instrument's prior.

    The priors of one training hear nothing of each other, not even through the random numbers they draw: what one
    learns does not depend on the stems of the others.

    Args:
        separator: to train.
        silence_dbfs: RMS level of an excerpt below which no prior learns from it.
    """

    def __init__(self, separator: InstGlow, *, silence_dbfs: float = -50.0) -> None:
        super().__init__()
        self.separator, self.silence = separator, 10 ** (silence_dbfs / 20)

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """The priors, unless they are one."""
        return (self,) if self.separator.config.shared else tuple(self.separator.priors)

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono.

        Returns:
            For each instrument the mean negative log-likelihood of its solos, in nats for each channel and frame; of
            all instruments together, named `nll`, where they share a flow.

        Raises:
            SoliError: for excerpts too short for a frame.
        """
        config, mono = self.separator.config, stems.mean(dim=2)
        shortest = config.n_fft + config.squeeze * config.hop_length
        if mono.shape[-1] < shortest:
            raise SoliError(f"excerpts of {mono.shape[-1]} samples; allowed: at least {shortest}")
        sounding = mono.square().mean(dim=-1).sqrt() > self.silence  # [B S]
        with torch.autocast(mono.device.type, enabled=False):
            magnitudes = inner_magnitudes(dequantise(mono.float()), config.n_fft, config.hop_length, config.squeeze)
        if config.shared:
            return {"nll": self._nll(magnitudes, sounding, self.separator.priors[0])}
        losses = {}
        seeds = draw_seeds(len(config.sources))
        for index, (name, prior, seed) in enumerate(zip(config.sources, self.separator.priors, seeds, strict=True)):
            own = torch.zeros_like(sounding)
            own[:, index] = sounding[:, index]
            with random_numbers_of_its_own(seed, mono.device):
                losses[name] = self._nll(magnitudes, own, prior)
        return losses

    def _nll(self, magnitudes: Tensor, chosen: Tensor, prior: nn.Module) -> Tensor:
        """Under its prior, of the excerpts that are chosen, `[B S F N]` and `[B S]`; 0 if none is."""
        if not chosen.any():
            return 0.0 * next(prior.parameters()).sum()  # a loop needs something to differentiate
        return -self.separator.log_likelihood(magnitudes[chosen], chosen.nonzero()[:, 1]).mean()
