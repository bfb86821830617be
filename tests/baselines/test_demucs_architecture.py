from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from soli.baselines.demucs_architecture import DemucsArchitecture, DemucsArchitectureConfig
from soli.baselines.waveform_training import WaveformTask
from soli.config import from_dict
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 2000
TINY = DemucsArchitectureConfig(
    sample_rate=RATE, segment_seconds=1.4, channels=8, transformer_layers=1, transformer_channels=16
)
KINDS = ("htdemucs", "hdemucs")
needs_package = pytest.mark.skipif(find_spec("demucs") is None, reason="the package demucs is not installed")


def separator(kind: Any) -> DemucsArchitecture:
    torch.manual_seed(0)
    return DemucsArchitecture(replace(TINY, kind=kind)).eval()


def of_the_package(kind: str, **sizes: Any) -> nn.Module:
    """The package's own class, its arguments written out."""
    from demucs.hdemucs import HDemucs  # pyright: ignore[reportMissingImports]
    from demucs.htdemucs import HTDemucs  # pyright: ignore[reportMissingImports]

    sources = ["bass", "drums", "guitar", "piano"]
    if kind == "hdemucs":
        return HDemucs(sources, **sizes).eval()
    sizes = {"dconv_mode": 3, "t_dropout": 0.02, "bottom_channels": 512} | sizes
    return HTDemucs(sources, **sizes).eval()


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny_of_the_package(kind: str) -> nn.Module:
    transformer = {"t_layers": 1, "bottom_channels": 16} if kind == "htdemucs" else {}
    return of_the_package(kind, audio_channels=1, samplerate=RATE, segment=1.4, channels=8, **transformer)


@needs_package
@pytest.mark.parametrize(("kind", "stereo"), [("htdemucs", 41_984_456), ("hdemucs", 83_637_832)])
def test_it_has_the_parameters_of_the_stereo_model_but_for_the_second_channel(kind: Any, stereo: int) -> None:
    """Kernels of 8 taps and 48 features: 2 + 1 inputs and 8 + 4 outputs fewer, in spectrum and waveform."""
    with torch.device("meta"):
        network = DemucsArchitecture(DemucsArchitectureConfig(kind=kind))
        assert count(of_the_package(kind)) == stereo
    assert count(network) == stereo - 8 * 48 * (2 + 1 + 8 + 4) - (8 + 4)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_with_the_same_weights_it_is_the_network_of_the_package(kind: str) -> None:
    ours, theirs = separator(kind), tiny_of_the_package(kind)
    theirs.load_state_dict(ours.model.state_dict())
    mixture = 0.1 * torch.randn(2, 1, 2001, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        due = theirs(mixture)
        assert due.abs().max() > 1e-3
        torch.testing.assert_close(ours(mixture), due, rtol=0, atol=0)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_is_normalised_and_cut_as_the_package_does(kind: str) -> None:
    from demucs.apply import apply_model  # pyright: ignore[reportMissingImports]

    ours, theirs = separator(kind), tiny_of_the_package(kind)
    theirs.load_state_dict(ours.model.state_dict())
    mixture = 0.3 + 0.1 * torch.randn(2, 6300, generator=torch.Generator().manual_seed(0))  # three strides
    due = []
    for channel in mixture:
        mean, scale = channel.mean(), channel.std(correction=0)
        normal = ((channel - mean) / scale)[None, None]
        due.append(scale * apply_model(theirs, normal, shifts=0, split=True, overlap=0.25)[0])
    estimates = ours.separate(mixture, RATE)
    torch.testing.assert_close(estimates.stems, torch.cat(due, dim=1), rtol=0, atol=1e-6)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_more_than_fits_the_segments_does_no_harm(kind: str) -> None:
    ours = separator(kind)
    mixture = 0.3 + 0.1 * torch.randn(1, 6301, generator=torch.Generator().manual_seed(0))
    whole, shorter = ours.separate(mixture, RATE).stems, ours.separate(mixture[:, :-1], RATE).stems
    assert whole.isfinite().all()
    torch.testing.assert_close(whole[..., :4200], shorter[..., :4200], rtol=0, atol=1e-3)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract(kind: str) -> None:
    check_separator(separator(kind), seconds=1.0, longest_seconds=2.0)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_one_mixture_by_heart(kind: str) -> None:
    task = WaveformTask(separator(kind).train(), loss="l1")
    time = torch.arange(RATE) / RATE
    stems = 0.3 * torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (30, 100, 250, 600)])
    stems = stems[None, :, None]
    optimizer = torch.optim.Adam(task.parameters(), lr=5e-3)
    for _ in range(40):
        (loss,) = task.losses(stems).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        estimates = task.separator(stems.sum(dim=1))
    assert sdr_global(stems[0], estimates[0]).min() > 6


@needs_package
def test_torchaudio_is_not_imported() -> None:
    separator("htdemucs").separate(torch.zeros(1, 100), RATE)
    assert "torchaudio" not in sys.modules


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("kind", "demucs", "htdemucs, hdemucs"),
        ("channels", 12, "a multiple of 8, from 8 on"),
        ("transformer_channels", 0, "a multiple of 8, from 8 on"),
        ("transformer_layers", 0, "1 or more"),
        ("segment_seconds", 0.05, "0.1 to 600"),
    ],
)
def test_what_does_not_work_is_refused(key: str, value: Any, allowed: str) -> None:
    with pytest.raises(SoliError, match=rf"^model\.{key} = '?{value}'?; allowed: {allowed}$"):
        DemucsArchitecture(replace(TINY, **{key: value}))


def test_a_recipe_with_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SoliError, match=r"^model\.kind = 'demucs'; allowed: 'htdemucs', 'hdemucs'$"):
        from_dict(DemucsArchitectureConfig, {"kind": "demucs"}, where="model")


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_package_the_extra_is_named(kind: str, monkeypatch) -> None:
    for module in ("demucs", "demucs.hdemucs", "demucs.htdemucs"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SoliError, match=r"pip install 'soli\[demucs\]'") as caught:
        separator(kind)
    assert "\n" not in str(caught.value)
