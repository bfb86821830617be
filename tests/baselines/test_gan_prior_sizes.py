from __future__ import annotations

import torch

from soli.baselines.gan_prior.config import GANPriorConfig
from soli.baselines.gan_prior.generator import Generator


def test_generators_of_published_size_make_what_was_published() -> None:
    latents = torch.zeros(1, 100)
    assert Generator(GANPriorConfig(width=1))(latents).shape == (1, 128, 128)
    assert Generator(GANPriorConfig(width=1, kind="wave"))(latents).shape == (1, 16384)
    assert GANPriorConfig().widths == (1024, 512, 256, 128, 64, 1)
    assert GANPriorConfig().inmost == (4, 4)
    assert GANPriorConfig(kind="wave").inmost == (16,)
