"""A small codec with codebooks, and a small model that plays its codes, for the tests of music."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rqvae_models import modern, noise, song
from soli import zoo
from soli.systems.rqvae.music.codec import refer
from soli.systems.rqvae.music.config import MusicConfig
from soli.systems.rqvae.music.separator import RQVAEMusic
from soli.systems.rqvae.separator import RQVAE

CARD = "---\nlicence: none\nsummary: a test\n---\n"
SIZES: dict[str, Any] = {
    "n_frames": 16,
    "n_features": 24,
    "n_layers": 2,
    "n_heads": 2,
    "depth_features": 16,
    "depth_layers": 2,
    "depth_heads": 2,
}


def codec() -> RQVAE:
    """The tiny modern preset, its codebooks started on a song and noise."""
    model = modern()
    with torch.no_grad():
        sounds = torch.cat([song(2.0).sum(dim=0), noise(1, 16000, seed=1)], dim=-1)
        latents = model.network.encode(sounds).latents
        model.network.quantizer.initialise(latents[0].mT, n_iterations=3)
    return model


def music(model: RQVAE | None = None, *, random: bool = True, **settings: Any) -> RQVAEMusic:
    """A model attached to its codec; with random heads, whose codes are then not all alike likely."""
    model = codec() if model is None else model
    reference = refer(model, "../codec", "0" * 64)
    torch.manual_seed(1)
    player = RQVAEMusic(MusicConfig(codec=reference, **{**SIZES, **settings})).eval()
    player.attach(model)
    if random:
        with torch.no_grad():
            player.transformer.leave.normal_(std=0.3)
            player.transformer.bias.normal_()
    return player


def save(folder: Path, model: RQVAEMusic) -> Path:
    """Write codec and music beside each other; returns the latter's folder."""
    zoo.save(model.codec, folder / "codec", CARD)
    sha256 = zoo.model_info(folder / "codec").sha256
    model.config = replace(model.config, codec=replace(model.config.codec, sha256=sha256))
    return zoo.save(model, folder / "music", CARD)
