"""The weights that come with soli, on a song played by a SoundFont they have never heard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from composed_song import families_of_song
from soli import zoo
from soli.evaluation.metrics import si_sdr
from soli.systems.rqvae.music.separator import RQVAEMusic
from soli.systems.rqvae.separator import RQVAE
from soli.testing import check_separator

SECONDS = 16.0


@pytest.fixture(scope="module")
def model() -> RQVAE:
    found = zoo.load("rqvae")
    assert isinstance(found, RQVAE)
    return found


@pytest.fixture(scope="module")
def stems(model: RQVAE) -> dict[str, Tensor]:
    """`[1 T]` for each source that sounds."""
    song = families_of_song(7, model.sample_rate, SECONDS)
    found = {name: audio for name, audio in song.items() if name in model.sources}
    assert len(found) >= 3
    return {name: torch.from_numpy(audio) for name, audio in found.items()}


def test_it_keeps_the_contract(model: RQVAE) -> None:
    check_separator(model)


def test_it_separates(model: RQVAE, stems: dict[str, Tensor]) -> None:
    mixture = torch.stack(list(stems.values())).sum(dim=0)
    estimates = model.separate(mixture, model.sample_rate)
    gains = [float(si_sdr(stem, estimates[name]) - si_sdr(stem, mixture)) for name, stem in stems.items()]
    assert sum(gains) / len(gains) > 4.0
    assert (estimates.stems.sum(dim=0) - mixture).abs().max() < 1e-4


def test_codes_alone_carry_the_spectra_of_the_stems(model: RQVAE, stems: dict[str, Tensor]) -> None:
    mixture = torch.stack(list(stems.values())).sum(dim=0)
    codes = model.encode(mixture, model.sample_rate)
    decoded = dict(zip(model.sources, model.decode(codes, mixture.shape[-1])[0], strict=True))
    own = torch.tensor([correlation(stem, decoded[name]) for name, stem in stems.items()])
    mix = torch.tensor([correlation(mixture, decoded[name]) for name in stems])
    assert float(own.min()) > 0.5
    assert float(own.mean()) > float(mix.mean()) + 0.05


def test_no_code_is_dead(model: RQVAE) -> None:
    size = model.codebook_size
    for usage in model.network.quantizer.usage():
        assert float(usage.dead.max()) / size < 0.05


def correlation(first: Tensor, second: Tensor) -> float:
    """Of square roots of magnitudes."""
    window = torch.hann_window(1024)
    spectra = [torch.stft(signal[0], 1024, 512, window=window, return_complex=True) for signal in (first, second)]
    return float(torch.corrcoef(torch.stack([spectrum.abs().sqrt().flatten() for spectrum in spectra]))[0, 1])


def test_the_music_plays_the_codec_and_repeats_itself_for_the_same_seed() -> None:
    music = zoo.load("rqvae-music")
    assert isinstance(music, RQVAEMusic)
    first, again, other = (music.sample(2.0, seed) for seed in (3, 3, 4))
    assert torch.equal(first.stems, again.stems)
    assert not torch.equal(first.stems, other.stems)
    assert first.stems.shape == (4, 1, 2 * music.sample_rate)
    assert float(first.mixture.square().mean().sqrt()) > 1e-3
