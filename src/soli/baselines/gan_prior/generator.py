"""The generator of SpecGAN and WaveGAN (Donahue et al. 2019, appendix D)."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from soli.baselines.gan_prior.config import GANPriorConfig

KERNELS = {"spec": 5, "wave": 25}


class Generator(nn.Module):
    """A dense layer and strided transposed convolutions, without any normalisation.

    Args:
        config: sizes.
    """

    def __init__(self, config: GANPriorConfig) -> None:
        super().__init__()
        kernel, factor = KERNELS[config.kind], config.factor
        self.start = nn.Unflatten(1, (config.widths[0], *config.inmost))
        self.dense = nn.Linear(config.n_latent, config.widths[0] * math.prod(config.inmost))
        convolution = nn.ConvTranspose2d if config.kind == "spec" else nn.ConvTranspose1d
        padding = (kernel - factor + 1) // 2
        self.levels = nn.ModuleList(
            convolution(n_in, n_out, kernel, factor, padding, output_padding=1)
            for n_in, n_out in pairwise(config.widths)
        )
        start_weights(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Make something.

        Args:
            latents: `[B D]`, from -1 to 1.

        Returns:
            `[B F N]` or `[B T]`, from -1 to 1.
        """
        x = self.start(self.dense(latents))
        for level in self.levels:
            x = level(x.relu())
        return x.squeeze(1).tanh()


def start_weights(network: nn.Module) -> None:
    """Weights as in the published code: uniform after Glorot, biases zero.

    Args:
        network: changed in place.
    """
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
