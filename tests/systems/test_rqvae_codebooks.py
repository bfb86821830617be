"""How the codebooks start, live and resume while both presets train."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rqvae_models import modern, paper, song
from soli.losses import Task
from soli.nn.quantize import ResidualQuantizer
from soli.systems.rqvae.bottleneck import StemQuantizer
from soli.systems.rqvae.codebook_start import CodebookStart
from soli.systems.rqvae.paper_training import RQVAEPaperTask
from soli.systems.rqvae.training import RQVAETask
from soli.training.fit import LOG, FitConfig, fit


def quantizer(n_stems: int = 2, n_codebooks: int = 2, size: int = 8) -> StemQuantizer:
    torch.manual_seed(0)
    return StemQuantizer(n_stems, n_codebooks, size, 3, learning="ema", dropout=0.0)


def latents(seed: int, n_frames: int = 10) -> Tensor:
    return torch.randn(2, 2, 3, n_frames, generator=torch.Generator().manual_seed(seed))


def test_until_they_start_latents_pass_unchanged() -> None:
    made = quantizer().train()
    given = latents(0).requires_grad_()
    passed = made(given)
    assert torch.equal(passed.latents, given)
    assert float(passed.losses["commitment"]) == 0


def test_they_start_when_time_has_come_and_enough_was_seen() -> None:
    for per_code, after, due in ((1, 1, 1), (1, 4, 4), (7, 1, 3), (7, 5, 5)):
        made = quantizer()
        start = CodebookStart(made, vectors_per_code=per_code, after=after, n_iterations=2)
        steps = 0
        while not made.ready:
            start.observe(made, latents(steps))  # 20 vectors for each source, 8 entries
            steps += 1
        assert steps == due


def test_they_start_from_the_latents_of_several_batches() -> None:
    made = quantizer(n_codebooks=2)
    start = CodebookStart(made, vectors_per_code=7, after=1, n_iterations=50)
    batches = [latents(seed) for seed in range(3)]
    for batch in batches:
        start.observe(made, batch)
    for stem, found in enumerate(made.stems):
        rows = torch.cat([batch[:, stem].mT.reshape(-1, 3) for batch in batches])[:56].bfloat16().float()
        due = ResidualQuantizer(2, 8, 3)
        torch.manual_seed(1)
        due.initialise(rows.T[None])
        error = (found.decode(found.encode(rows.T[None])) - rows.T[None]).square().mean()
        alike = (due.decode(due.encode(rows.T[None])) - rows.T[None]).square().mean()
        assert float(error) < 1.3 * float(alike)
        apart = torch.cat([batch[:, 1 - stem].mT.reshape(-1, 3) for batch in batches])[:56]
        other = (found.decode(found.encode(apart.T[None])) - apart.T[None]).square().mean()
        assert float(error) < float(other)  # each source has codebooks for what it is


def test_the_newest_latents_count() -> None:
    made = quantizer()
    start = CodebookStart(made, vectors_per_code=7, after=8, n_iterations=5)
    for step in range(8):
        start.observe(made, latents(step) + 100.0 * (step < 5))
    vectors = torch.stack([stem.codebooks[0].vectors for stem in made.stems])
    assert vectors.abs().max() < 10


def test_in_evaluation_nothing_is_collected() -> None:
    task = RQVAETask(modern(), codec_windows=[64], start_after=1, vectors_per_code=1).eval()
    with torch.no_grad():
        task(song(0.5)[None])
    assert int(task.start.steps) == 0
    assert not task.separator.network.quantizer.ready


@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_dead_codes_restart_while_training(learning: str) -> None:
    separator = modern(learning=learning)
    task = RQVAETask(
        separator.train(),
        codec_windows=[64],
        start_after=1,
        vectors_per_code=1,
        subset_probability=0.0,
        codec_fraction=1.0,
    )
    stems = torch.stack((song(), song().flip(-1)))
    task(stems)
    with torch.no_grad():
        for stem in separator.network.quantizer.stems:
            for codebook in stem.codebooks:
                codebook.vectors[4:] = 1000.0  # where no latent ever is
                codebook.usage[4:] = 2.5
    for _ in range(12):
        task(stems)
    for stem in separator.network.quantizer.stems:
        assert all(codebook.vectors.abs().max() < 100 for codebook in stem.codebooks)
        assert int(stem.usage().dead.sum()) <= 0.05 * 3 * 32
        assert (stem.usage().perplexity > (8 if learning == "ema" else 4)).all()


class Killed(Exception):
    pass


def batches(first: int) -> Iterator[Tensor]:
    for index in itertools.count(first):
        gains = torch.rand(1, 4, 1, 1, generator=torch.Generator().manual_seed(index)) + 0.5
        yield gains * song(0.25)[None]


def build(preset: str) -> Task:
    if preset == "paper":
        return RQVAEPaperTask(paper(dropout=0.1).train(), windows=[64], start_after=4, vectors_per_code=2)
    return RQVAETask(modern(level_dropout=0.5).train(), codec_windows=[64], start_after=4, vectors_per_code=1)


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("preset", ["paper", "modern"])
@pytest.mark.parametrize("killed_at", [2, 6])
def test_a_resumed_training_is_the_same_training(tmp_path: Path, preset: str, killed_at: int) -> None:
    """Killed before the codebooks start, with latents half collected, and after."""
    config = FitConfig(steps=8, batch_size=1, warmup=1, precision="no", checkpoint_every=1, ema=0.9)

    def kill(step: int, losses: dict[str, float]) -> None:
        if step == killed_at + 1:
            raise Killed

    torch.manual_seed(3)
    whole = fit(build(preset), batches, config, tmp_path / "whole")
    torch.manual_seed(3)
    with pytest.raises(Killed):
        fit(build(preset), batches, config, tmp_path / "killed", on_step=kill)
    torch.manual_seed(99)
    resumed = fit(build(preset), batches, config, tmp_path / "killed", resume=True)
    lines = log(tmp_path / "whole")
    assert lines == log(tmp_path / "killed")
    assert lines[-1]["commitment"] > 0 == lines[2]["commitment"]
    for (name, due), found in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(due, found), name
