"""What Open-Unmix is trained on: the magnitudes of each source (Stöter et al. 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.baselines.open_unmix import OpenUnmix, TargetNetwork
from soli.dsp.stft import stft
from soli.losses import Task


class OpenUnmixTask(Task[OpenUnmix]):
    """Mean squared error of magnitudes, a network for each source.

    The networks share nothing, so training them together is training each alone. Their input scaling starts from the
    first batch; the paper's starts from the whole training set.

    Args:
        separator: to train.
    """

    scaled: Tensor

    def __init__(self, separator: OpenUnmix) -> None:
        super().__init__()
        self.separator = separator
        self.register_buffer("scaled", torch.zeros((), dtype=torch.bool))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: stereo `[B S 2 T]`, in the order of `separator.sources`.

        Returns:
            Source -> its mean squared error, a scalar.
        """
        config = self.separator.config
        with torch.no_grad():
            references = stft(stems, config.n_fft, config.hop_length).abs()  # [B S 2 F N]
            mixture = stft(stems.sum(dim=1), config.n_fft, config.hop_length).abs()
            if not self.scaled:
                for network in self.separator.targets.values():
                    set_input_scale(network, mixture)
                self.scaled.fill_(True)
        estimates = self.separator.magnitudes(mixture).float()
        return {
            name: F.mse_loss(estimates[:, index], references[:, index]) for index, name in enumerate(config.sources)
        }


def set_input_scale(network: torch.nn.Module, magnitude: Tensor) -> None:
    """Start with inputs of zero mean and unit deviation in each frequency.

    Args:
        network: of one source, changed in place.
        magnitude: of mixtures, `[B C F N]`.
    """
    assert isinstance(network, TargetNetwork)
    heard = magnitude.float().mean(dim=1)[:, : len(network.input_mean)].transpose(1, 2).flatten(0, 1)  # [BN F]
    deviation = heard.std(dim=0)
    deviation = deviation.clamp(min=1e-4 * float(deviation.max()) + 1e-8)
    network.input_mean.data.copy_(-heard.mean(dim=0))
    network.input_scale.data.copy_(1 / deviation)
