"""What the paper preset learns from: a hinge GAN with adaptive R1, a reconstruction and a commitment, end to end."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.losses import Task
from soli.nn.adversarial import AdaptiveR1, frozen, hinge_loss, squared_slopes
from soli.systems.vqquery.adversaries import MelCritic, beside
from soli.systems.vqquery.memory import Memory
from soli.systems.vqquery.paper import VQQueryPaper


class VQQueryPaperTask(Task[VQQueryPaper]):
    """Losses of the paper preset; generator and critic are trained in one pass, each by its own terms.

    Args:
        separator: to train.
        reconstruction_weight: of the mean absolute error of mel levels.
        commitment_weight: of the term that pulls embeddings to their codes.
        largest_r1: bound of the weight of the critic's gradient penalty.
        memory: embeddings that the codes start from, by k-means.
    """

    takes_multitracks: ClassVar[bool] = True
    finds_sources: ClassVar[bool] = True

    def __init__(
        self,
        separator: VQQueryPaper,
        *,
        reconstruction_weight: float = 10.0,
        commitment_weight: float = 0.25,
        largest_r1: float = 10.0,
        memory: int = 512,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.critic = MelCritic(separator.config)
        self.r1 = AdaptiveR1(largest=largest_r1)
        self.memory = Memory(max(memory, separator.config.codebook_size), separator.config.code_size)
        self.weights = {"reconstruction": reconstruction_weight, "commitment": commitment_weight}

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """Generator and critic."""
        return self.separator, self.critic

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: stems of the mixtures and an example of each, `[B 2 S C T]`; the first stem of each mixture, which
                come in random order, is its target.

        Returns:
            `generator`, `reconstruction`, `critic`, `r1`, and `commitment` once there are codes; weighted.
        """
        sounding, examples = stems.mean(dim=3).unbind(dim=1)  # [B S T]
        levels, n_samples = self.separator.levels, self.separator.config.n_samples
        with torch.no_grad():
            mixture, target, query = (
                levels(waveform[..., :n_samples]) for waveform in (sounding.sum(dim=1), sounding[:, 0], examples[:, 0])
            )
        code, commitment = self._code(self.separator.encoder(query))
        made = self.separator.generate(mixture, code)
        terms = {
            "generator": -frozen(self.critic)(beside(made, mixture)).mean(),
            "reconstruction": self.weights["reconstruction"] * (made - target).abs().mean(),
        }
        if commitment is not None:
            terms["commitment"] = self.weights["commitment"] * commitment
        return terms | self._critic_terms(target, made.detach(), mixture)

    def _critic_terms(self, target: Tensor, made: Tensor, mixture: Tensor) -> dict[str, Tensor]:
        """The hinge, and the penalty on the slope at true sources."""
        shown = torch.cat((beside(target, mixture), beside(made, mixture)))
        on_real, on_fake = self.critic(shown).chunk(2)
        weight = self.r1.observe(on_real, on_fake) if self.training else self.r1.largest * self.r1.share
        slopes = squared_slopes(lambda source: self.critic(beside(source, mixture)), target)
        return {"critic": hinge_loss(on_real, on_fake), "r1": weight * slopes.mean()}

    def _code(self, embeddings: Tensor) -> tuple[Tensor, Tensor | None]:
        """Vectors `[B D]` for the generator, and the commitment; the embeddings themselves until codes have started."""
        separator = self.separator
        if not bool(separator.ready):
            if self.training:
                self.memory.add(embeddings.detach())
                if self.memory.full:
                    separator.quantizer.initialise(self.memory.held()[..., None])
                    separator.ready.fill_(True)
            return embeddings, None
        found = separator.quantizer(embeddings[..., None])
        return found.quantized[..., 0], found.commitment[0]
