"""The priors that come with soli, on a song played by a SoundFont they have never heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from soli import zoo
from soli.data.compose import compose
from soli.data.render.families import family
from soli.data.render.palette import Palette
from soli.data.render.song import RenderConfig, render_song
from soli.evaluation.metrics import sdr_global
from soli.presence import judge
from soli.systems.flowprior.separator import FlowPrior
from soli.testing import check_separator

SECONDS = 12.0


def loaded(name: str) -> FlowPrior:
    found = zoo.load(name)
    assert isinstance(found, FlowPrior)
    return found


@pytest.fixture(scope="module")
def stems() -> dict[str, Tensor]:
    """`[1 T]` of bass, drums and everything else."""
    score = compose(4, seconds=40.0)
    config = RenderConfig(sample_rate=22050, n_channels=1)
    song = render_song(score.parts, score.tempos, Palette(), config, seed=4, start_seconds=12.0, seconds=SECONDS)
    found = {name: np.zeros_like(song.stems[0].audio) for name in ("drums", "bass", "other")}
    for stem in song.stems:
        name = family(stem.program, is_drum=stem.is_drum).lower()
        found[name if name in found else "other"] += stem.audio
    assert all(audio.any() for audio in found.values())
    return {name: torch.from_numpy(audio) for name, audio in found.items()}


def test_they_keep_the_contract() -> None:
    check_separator(loaded("flowprior"))


def test_they_separate_and_any_of_them_do(stems: dict[str, Tensor]) -> None:
    mixture = torch.stack(list(stems.values())).sum(dim=0)
    for name in ("flowprior", "flowprior:bass,drums"):
        model = loaded(name)
        estimates = model.separate(mixture, model.sample_rate)
        for part in ("drums", "bass"):
            own, mixed = (float(sdr_global(stems[part], found)) for found in (estimates[part], mixture))
            assert own > mixed + 3.0
        torch.testing.assert_close(estimates.stems.sum(dim=0) + estimates.residual, mixture, atol=1e-5, rtol=0)


def test_they_hear_who_sounds(stems: dict[str, Tensor]) -> None:
    model = loaded("flowprior:drums,bass")
    with torch.inference_mode():
        drums, bass = (
            torch.cat(list(judge(model, [mixed[0]])), dim=-1)[0].mean(dim=-1)
            for mixed in (stems["drums"], stems["bass"])
        )
    assert drums[0] > drums[1] + 0.3
    assert bass[1] > bass[0] + 0.3
