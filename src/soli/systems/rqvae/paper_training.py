"""What the paper preset is trained on: waveform, mel and commitment terms (equations 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.losses import Task
from soli.systems.rqvae import subsets
from soli.systems.rqvae.bottleneck import StemQuantizer
from soli.systems.rqvae.codebook_start import CodebookStart
from soli.systems.rqvae.losses import MelDistance
from soli.systems.rqvae.paper import RQVAEPaper


class RQVAEPaperTask(Task[RQVAEPaper]):
    """Losses of the paper preset, on waveforms divided by `config.level`.

    Args:
        separator: to train.
        mel_weight: of the multi-scale mel distance.
        windows: its window lengths, in samples.
        commitment_weight: of the terms that pull the latents.
        codebook_weight: of the term that pulls the entries, where they learn by gradient.
        kl_weight: of the divergence, with a Gaussian bottleneck.
        start_after: steps before the codebooks start by k-means.
        vectors_per_code: latents the k-means sees for each entry.
        kmeans_iterations: at most.
    """

    def __init__(
        self,
        separator: RQVAEPaper,
        *,
        mel_weight: float = 0.01,
        windows: tuple[int, ...] | list[int] = (64, 128, 256, 512, 1024, 2048),
        commitment_weight: float = 1.0,
        codebook_weight: float = 0.75,
        kl_weight: float = 1e-3,
        start_after: int = 50,
        vectors_per_code: int = 8,
        kmeans_iterations: int = 20,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.weights = {"commitment": commitment_weight, "codebook": codebook_weight, "kl": kl_weight}
        self.mel_weight, self.mel = mel_weight, MelDistance(separator.sample_rate, tuple(windows))
        self.start = None
        if isinstance(separator.bottleneck, StemQuantizer):
            self.start = CodebookStart(
                separator.bottleneck,
                vectors_per_code=vectors_per_code,
                after=start_after,
                n_iterations=kmeans_iterations,
            )

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono and cut to whole latents.

        Returns:
            `waveform` (equation 2), `mel` (equation 1), and `commitment` and `codebook` (equation 3) or `kl`.
        """
        separator, config = self.separator, self.separator.config
        mono = stems.mean(dim=2)
        mono = mono[..., : mono.shape[-1] // config.hop_length * config.hop_length]
        known = mono * subsets.known(len(mono), len(config.sources), mono.device) if config.partial_stems else None
        encoded = separator.encode_waveforms(mono.sum(dim=1), known)
        if self.start is not None and isinstance(separator.bottleneck, StemQuantizer) and self.training:
            self.start.observe(separator.bottleneck, encoded.latents.detach())
        passed = separator.bottleneck(encoded.latents)
        estimates = separator.decode_latents(passed.latents, encoded.skips)
        with torch.autocast(stems.device.type, enabled=False):
            references, estimates = mono / config.level, estimates / config.level
            losses = {"waveform": (references - estimates).square().mean(dim=-1).sum(dim=1).mean()}
            if self.mel_weight:
                losses["mel"] = self.mel_weight * self.mel(references, estimates)
        return losses | {name: self.weights[name] * value for name, value in passed.losses.items()}
