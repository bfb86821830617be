from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from audio_fakes import noise, save
from command_line import Run
from soli import zoo
from tiny import CARD
from vqquery_models import RATE, small


@pytest.fixture(autouse=True)
def known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line of the tests knows tiny models alone, unless told of others."""
    assert isinstance(zoo.SYSTEMS, dict)
    monkeypatch.setitem(zoo.SYSTEMS, ("vqquery", "modern"), "soli.systems.vqquery.separator:VQQuery")


def model(folder: str, *, named: bool) -> str:
    separator = small(sounds_db=-60.0)
    if named:
        separator.name(("bass", "hi_hat"), torch.tensor([[5, 0, 1, 0], [1, 9, 0, 0]]))
    zoo.save(separator, folder, CARD)
    return folder


def test_the_three_figures_of_seed_000_are_on_one_page(run: Run) -> None:
    songs = []
    for name in ("One", "Two"):
        save(Path(f"{name}.wav"), noise(1, 2 * RATE), RATE)
        songs.append(f"{name}.wav")
    outcome = run("report", "codes", *songs, "--model", model("m", named=True), "--seconds", "1", "-o", "page.html")
    assert (outcome.code, outcome.err) == (0, "")
    page = Path("page.html").read_text()
    assert (
        page.index("<h2>Separations</h2>")
        < page.index("<h2>Classes and codes</h2>")
        < page.index('<h2 id="song-0-title"')
    )
    assert len(re.findall(r'<img src="data:image/png[^"]*" alt="(?:One|Two), ', page)) == 2 * 5
    assert "bass (code 0)" in page
    assert re.search(r"hi_hat \(code 1\): -?\d+\.\d dB, sounds 100% of the time", page)


def test_codes_without_names_have_no_histogram(run: Run) -> None:
    save(Path("one.wav"), noise(1, RATE), RATE)
    assert run("report", "codes", "one.wav", "-m", model("m", named=False), "-o", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "Classes and codes" not in page
    assert "code 2" in page


def test_what_cannot_be_shown_is_one_clear_line(run: Run) -> None:
    save(Path("one.wav"), noise(1, RATE), RATE)
    outcome = run("report", "codes", "one.wav", "-m", "default", "-o", "page.html")
    assert outcome.code == 2
    assert "model 'default' has no codes to show; allowed: a model of vqquery" in outcome.err
    outcome = run("report", "codes", "one.wav", "-m", model("m", named=False), "--seconds", "0", "-o", "page.html")
    assert outcome.code == 2
    assert "--seconds 0; allowed: 0 or more, and 0.5 to 60" in outcome.err
    assert not Path("page.html").exists()
