from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from soli.baselines.by_name import BASELINES, baseline_digest, find_baseline, load_baseline, usage
from soli.errors import SoliError


@pytest.mark.parametrize("name", ["hpss", "repet", "nmf"])
def test_classical_methods_need_nothing_but_their_name(name: str) -> None:
    separator = load_baseline(name)
    baseline = find_baseline(name)
    assert baseline is not None
    assert separator.sources == baseline.sources
    assert set(baseline.stands_for) <= set(separator.sources)
    estimates = separator.separate(0.1 * torch.randn(2, 30000), separator.sample_rate)
    assert estimates.residual.abs().max() < 1e-5
    assert baseline_digest(name) == ""


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("hpss:", "hpss"),
        ("nmf:30", "nmf"),
        ("open-unmix", "open-unmix:FOLDER"),
        ("htdemucs-onnx:", "htdemucs-onnx:FILE"),
        ("demucs:", "demucs[:MODEL]"),
        ("spleeter", "spleeter:PYTHON"),
    ],
)
def test_what_must_or_must_not_follow_a_name_is_said(name: str, allowed: str) -> None:
    with pytest.raises(SoliError) as caught:
        find_baseline(name)
    assert str(caught.value) == f"{name!r}; allowed: {allowed}"


def test_other_names_are_none_of_them() -> None:
    assert find_baseline("default") is None
    assert find_baseline("runs/hpss") is None
    with pytest.raises(SoliError, match=r"unknown baseline 'umx'; allowed: hpss, repet, .*demucs\[:MODEL\]"):
        load_baseline("umx")


def test_every_place_exists() -> None:
    from importlib import import_module

    for head, baseline in BASELINES.items():
        module, _, attribute = baseline.place.partition(":")
        assert callable(getattr(import_module(module), attribute)), usage(head)


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    for name in ("vocals", "bass"):
        (tmp_path / f"{name}.pth").write_bytes(name.encode())
    due = hashlib.sha256(b"vocals").hexdigest()
    assert baseline_digest(f"htdemucs-onnx:{tmp_path / 'vocals.pth'}") == due
    both = hashlib.sha256((due + hashlib.sha256(b"bass").hexdigest()).encode()).hexdigest()
    assert baseline_digest(f"open-unmix:{tmp_path}") == both
    with pytest.raises(SoliError, match="nothing: cannot be read"):
        baseline_digest(f"htdemucs-onnx:{tmp_path / 'nothing'}")
