from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from soli.baselines.demucs import Demucs, load_demucs
from soli.errors import SoliError
from soli.testing import check_separator

RATE = 8000


class Model(nn.Module):
    """What the adapter uses of a model of the package."""

    sources = ("drums", "bass")
    samplerate = RATE
    segment = 2.5

    def __init__(self) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.tensor([0.25, 0.75]))


@pytest.fixture
def package(monkeypatch) -> dict[str, Any]:
    """A package `demucs` with what the adapter calls of it; returns what it was called with."""
    seen: dict[str, Any] = {}

    def apply_model(model: Model, mixture: Tensor, **options: Any) -> Tensor:
        seen.update(options, level=float(mixture.std()))
        return mixture[:, None] * model.shares[None, :, None, None]

    def get_model(name: str) -> Model:
        seen["name"] = name
        if name.endswith("offline"):
            raise OSError("no route to huggingface.co\nwhatever else")
        if name.endswith("exit"):
            raise SystemExit(1)
        return Model()

    parts = {"demucs": ModuleType("demucs")}
    parts |= {f"demucs.{name}": ModuleType(f"demucs.{name}") for name in ("apply", "pretrained")}
    parts["demucs.apply"].apply_model = apply_model  # type: ignore[attr-defined]
    parts["demucs.pretrained"].get_model = get_model  # type: ignore[attr-defined]
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, name, module)
    return seen


def test_it_keeps_the_contract(package) -> None:
    check_separator(load_demucs(), longest_seconds=3.0)


def test_levels_are_normalised_and_come_back(package) -> None:
    mixture = 0.01 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    estimates = load_demucs("htdemucs_ft").separate(mixture, RATE)
    assert package["name"] == "hf://htdemucs_ft"  # safetensors from the hub, and no pickles from elsewhere
    assert (package["shifts"], package["split"], package["overlap"]) == (0, True, 0.25)
    assert 1 < package["level"] < 2  # the mean of two independent channels has unit deviation
    torch.testing.assert_close(estimates["drums"], 0.25 * (mixture - mixture.mean()), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("name", "reason"), [("offline", "no route to huggingface.co"), ("exit", "1")])
def test_what_cannot_be_loaded_is_one_line(package, name: str, reason: str) -> None:
    with pytest.raises(SoliError, match=rf"Demucs model '{name}' cannot be loaded \({reason}\); allowed: ") as caught:
        load_demucs(name)
    assert "\n" not in str(caught.value)


def test_without_the_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "demucs", None)
    monkeypatch.setitem(sys.modules, "demucs.pretrained", None)
    with pytest.raises(SoliError, match=r"pip install 'soli\[demucs\]'"):
        load_demucs()


def test_a_model_of_the_real_package_is_run() -> None:
    pretrained = pytest.importorskip("demucs.pretrained")
    from demucs.apply import apply_model  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    separator = Demucs(pretrained.demucs_unittest())  # random weights
    assert separator.sources == ("drums", "bass", "other", "vocals")
    mixture = 0.1 * torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
    level = mixture.mean(dim=0).std(correction=0)
    with torch.no_grad():
        due = level * apply_model(separator.model, ((mixture - mixture.mean()) / level)[None], shifts=0)[0]
    torch.testing.assert_close(separator.separate(mixture, 44100).stems, due, rtol=0, atol=1e-6)
    assert separator.separate(mixture[:1, :1], 44100).stems.isfinite().all()


@pytest.mark.parametrize("segments", [[1.4], [0.4], [1.4, 2.0]], ids=["one model", "below a second", "a bag"])
def test_a_sample_more_than_fits_the_segments_does_no_harm(segments: list[Any]) -> None:
    """Of 6301 and 9001 samples, one lies beyond the strides of 2100, 600 and 3000."""
    pytest.importorskip("demucs")
    from demucs.apply import BagOfModels  # pyright: ignore[reportMissingImports]
    from demucs.hdemucs import HDemucs  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"channels": 8, "samplerate": 2000}
    models: list[Any] = [HDemucs(["a", "b"], segment=segment, **sizes).eval() for segment in segments]
    lengths: list[int] = []
    for model in models:
        model.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[-1]))
    separator = Demucs(models[0] if len(models) == 1 else BagOfModels(models))
    mixture = 0.3 + 0.1 * torch.randn(2, 9001, generator=torch.Generator().manual_seed(0))
    for n_samples in (6301, 9001):
        whole = separator.separate(mixture[:, :n_samples], 2000).stems
        shorter = separator.separate(mixture[:, : n_samples - 1], 2000).stems
        assert whole.isfinite().all()
        torch.testing.assert_close(whole[..., :4200], shorter[..., :4200], rtol=0, atol=1e-3)
    assert min(lengths) >= min(2000, *(round(1500 * segment) for segment in segments))
