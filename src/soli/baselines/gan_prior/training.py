"""What generators learn from: critics that tell their work from recordings (WGAN-GP, Gulrajani et al. 2017).

Critics and generators are trained together by one optimiser. A generator's term reaches only its own weights and a
critic's term only its own; generators take part in every `n_critic`-th step, where the others skip them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.baselines.gan_prior.discriminator import Critic
from soli.baselines.gan_prior.separator import GANPrior
from soli.errors import SoliError
from soli.losses import Task
from soli.nn.adversarial import frozen, gradient_penalty

MOMENT_STEPS = 200


class GANPriorTask(Task[GANPrior]):
    """A critic for each source.

    Args:
        separator: whose generators are trained.
        n_critic: steps of the critics for one of the generators.
        penalty: weight of the critics' gradient penalty.
        shuffle: waveforms: samples by which the critics shuffle phases, at most.

    Raises:
        SoliError: for a value that makes no sense.
    """

    calls: Tensor

    def __init__(self, separator: GANPrior, *, n_critic: int = 5, penalty: float = 10.0, shuffle: int = 2) -> None:
        super().__init__()
        if n_critic < 1:
            raise SoliError(f"task.n_critic = {n_critic}; allowed: at least 1")
        if not penalty >= 0:
            raise SoliError(f"task.penalty = {penalty}; allowed: at least 0")
        shortest = separator.config.factor * separator.config.inmost[-1]  # between the last two levels
        if separator.config.kind == "wave" and not 0 <= shuffle < shortest:
            raise SoliError(f"task.shuffle = {shuffle}; allowed: 0 to {shortest - 1}")
        self.separator = separator
        self.n_critic, self.penalty = n_critic, penalty
        self.critics = nn.ModuleList(Critic(separator.config, shuffle) for _ in separator.sources)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono and cut into segments.

        Returns:
            `critic` and `penalty`; every `n_critic`-th time also `generator`. Each is a sum over sources.

        Raises:
            SoliError: for stems that are shorter than a segment.
        """
        done = int(self.calls)
        self.calls += 1
        segments = cut(stems.mean(dim=2), self.separator.config.segment)
        if done < MOMENT_STEPS:
            self.separator.domain.learn(segments, 1 / (done + 1))
        real = self.separator.domain.encode(segments)
        generators_turn = done % self.n_critic == self.n_critic - 1
        with torch.set_grad_enabled(generators_turn):
            made = self.separator.generate(self._latents(real))
        terms = {"critic": [], "penalty": []} | ({"generator": []} if generators_turn else {})
        for critic, recorded, generated in zip(self.critics, real.unbind(1), made.unbind(1), strict=True):
            fake = generated.detach()
            on_real, on_fake = critic(torch.cat((recorded, fake))).chunk(2)
            terms["critic"].append(on_fake.mean() - on_real.mean())
            terms["penalty"].append(self.penalty * gradient_penalty(critic, recorded, fake))
            if generators_turn:
                terms["generator"].append(-frozen(critic)(generated).mean())
        return {name: torch.stack(values).sum() for name, values in terms.items()}

    def _latents(self, like: Tensor) -> Tensor:
        """Uniform from -1 to 1, `[B S D]`."""
        shape = (*like.shape[:2], self.separator.config.n_latent)
        return 2 * torch.rand(shape, device=like.device) - 1


def cut(waveforms: Tensor, length: int) -> Tensor:
    """Cut waveforms into as many segments as fit.

    Args:
        waveforms: `[B S T]`.
        length: of a segment, in samples.

    Returns:
        `[B' S length]`.

    Raises:
        SoliError: when none fits.
    """
    n_samples = waveforms.shape[-1]
    if n_samples < length:
        raise SoliError(f"mixtures of {n_samples} samples; allowed: at least {length}, the model's segment")
    pieces = waveforms[..., : n_samples - n_samples % length].unflatten(-1, (-1, length))  # [B S M L]
    return pieces.transpose(1, 2).flatten(0, 1)
