"""The weights that come with soli, on a song in pieces played by a SoundFont they have never heard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from composed_song import families_of_song
from soli import zoo
from soli.evaluation.metrics import si_sdr_improvement
from soli.systems.vqquery.separator import VQQuery
from soli.testing import check_separator

SECONDS = 16.0


@pytest.fixture(scope="module")
def model() -> VQQuery:
    found = zoo.load("vqquery")
    assert isinstance(found, VQQuery)
    return found


@pytest.fixture(scope="module")
def stems(model: VQQuery) -> dict[str, Tensor]:
    """`[1 T]` of each family of instruments that sounds."""
    found = families_of_song(7, model.sample_rate, SECONDS)
    assert len(found) >= 3
    return {name: torch.from_numpy(audio) for name, audio in found.items()}


def test_it_keeps_the_contracts(model: VQQuery) -> None:
    checked = check_separator(model)
    assert {"discover", "query"} <= set(checked)


def test_sources_have_codes_of_their_own_that_sound_like_them(model: VQQuery, stems: dict[str, Tensor]) -> None:
    mixture = torch.stack(list(stems.values())).sum(dim=0)
    codes = {name: int(model.codes_of(stem)[0]) for name, stem in stems.items()}
    assert len(set(codes.values())) >= len(stems) - 1
    estimates = model.separate(mixture, model.sample_rate)
    assert float(estimates.residual.abs().max()) < 1e-5
    gains = []
    for code in set(codes.values()):
        target = torch.stack([stem for name, stem in stems.items() if codes[name] == code]).sum(dim=0)
        gains.append(float(si_sdr_improvement(target, estimates.stems[code], mixture)))
    assert sum(gains) / len(gains) > 2.0


def test_what_sounds_is_named_and_what_does_not_sound_is_not_heard(model: VQQuery, stems: dict[str, Tensor]) -> None:
    bass = model.discover(stems["bass"], model.sample_rate)
    assert bass.sources[0].startswith("bass (code ")
    assert len(bass.info["silent"]) >= 5
