"""Non-negative matrix factorisation without training: spectral parts, sorted into what lasts and what strikes.

The magnitudes of the mixture are factorised into spectra and their levels over time (Lee and Seung 1999, Kullback-
Leibler divergence). A part is percussive when its level is rougher over time than its spectrum is over frequency, the
comparison of Cañadas-Quesada et al. 2014. It knows no instruments: drums come out for lack of pitch, and a plucked bass
or a held cymbal goes to the wrong side. It is a lower bound, to be beaten.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.errors import SoliError
from soli.separator import Separator


@dataclass(frozen=True, kw_only=True)
class NMFConfig:
    """Sizes of the factorisation.

    Attributes:
        sources: names of the two estimates.
        sample_rate: in Hz.
        n_fft: window in samples.
        hop_length: in samples.
        n_components: spectra in all.
        n_iterations: multiplicative updates.
        seed: of the first guess.
    """

    sources: tuple[str, ...] = ("harmonic", "percussive")
    sample_rate: int = 44100
    n_fft: int = 4096
    hop_length: int = 1024
    n_components: int = 30
    n_iterations: int = 60
    seed: int = 0


class NMF(Separator):
    """Two estimates that sum to the mixture; all channels share one factorisation.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[NMFConfig]] = NMFConfig
    segment_seconds = 24.0

    def __init__(self, config: NMFConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B 2 C T]`."""
        return torch.stack([self._separate_item(item.float()) for item in mixture])

    def _separate_item(self, mixture: Tensor) -> Tensor:
        """`[C T]` -> `[2 C T]`."""
        config = self.config
        spectrogram = stft(mixture, config.n_fft, config.hop_length)  # [C F N]
        magnitude = spectrogram.abs().square().mean(dim=0).sqrt()
        spectra, levels = factorise(magnitude.cpu().double().numpy(), config)
        striking = roughness(levels) > roughness(spectra.T)
        total = spectra @ levels + 1e-10
        share = torch.from_numpy((spectra[:, striking] @ levels[striking] + 5e-11) / total)
        percussive = share.to(spectrogram.real) * spectrogram
        masked = torch.stack((spectrogram - percussive, percussive))
        return istft(masked, config.n_fft, config.hop_length, mixture.shape[-1])


def factorise(magnitude: np.ndarray, config: NMFConfig) -> tuple[np.ndarray, np.ndarray]:
    """Factorise magnitudes.

    Args:
        magnitude: `[F N]`, 0 or more.
        config: sizes.

    Returns:
        Spectra `[F K]` and levels `[K N]`, 0 or more.

    Raises:
        SoliError: when scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import NMF as Factorisation
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise SoliError("NMF needs scikit-learn: pip install 'soli[nmf]'") from error
    model = Factorisation(
        config.n_components,  # pyright: ignore[reportArgumentType]  # its stub knows only the default
        init="random",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=config.n_iterations,
        tol=0.0,
        random_state=config.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of updates is what is asked for
        spectra = model.fit_transform(magnitude)
    return spectra, model.components_


def roughness(rows: np.ndarray) -> np.ndarray:
    """How much a row changes from one entry to the next, relative to its energy.

    Args:
        rows: `[K M]`.

    Returns:
        `[K]`; 0 for a constant, 2 for a lonely peak, and never more where nothing is negative.
    """
    steps = np.square(np.diff(rows, axis=1)).sum(axis=1)
    return steps / (np.square(rows).sum(axis=1) + 1e-20)
