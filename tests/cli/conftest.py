from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Outcome, Run
from soli.cli.main import run as run_soli
from tiny import Tiny, install


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Tiny:
    return install(monkeypatch, tmp_path / "weights")


@pytest.fixture
def run(tiny, capsys, monkeypatch, tmp_path) -> Run:
    """Run `soli` in an empty folder; its only bundled model, `default`, is a Tiny."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)

    def call(*arguments: str | Path) -> Outcome:
        code = run_soli([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
