from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch

from command_line import Run, files_in
from rqvae_models import RATE, modern
from rqvae_models import song as stems
from soli import zoo
from soli.baselines.gibbs import Gibbs
from tiny import CARD


@pytest.fixture
def place(run: Run, monkeypatch) -> Path:
    """The folder that commands run in, with a song, a model that can be told stems, and one that cannot."""
    kinds = {("rqvae", "modern"): "soli.systems.rqvae.separator:RQVAE", **zoo.SYSTEMS}
    monkeypatch.setattr(zoo, "SYSTEMS", kinds)
    zoo.save(modern(partial_stems=True), "told", CARD)
    zoo.save(modern(), "untold", CARD)
    soundfile.write("song.wav", stems().sum(dim=0).T.numpy(), RATE, subtype="FLOAT")
    return Path()


def test_the_steps_are_taken(run: Run, place: Path) -> None:
    mixture = torch.from_numpy(soundfile.read(place / "song.wav", dtype="float32")[0])[None]
    for n_steps in (0, 3):
        assert run("separate", "song.wav", "-m", "told", "--gibbs", n_steps, "-o", f"out{n_steps}").code == 0
        due = Gibbs(zoo.load("told"), n_steps).separate(mixture, RATE)
        for name, stem in due.items():
            found = soundfile.read(place / f"out{n_steps}/song/{name}.wav", dtype="float32")[0]
            torch.testing.assert_close(torch.from_numpy(found), stem[0], rtol=0, atol=1e-6)
    assert run("separate", "song.wav", "-m", "told").code == 0
    plain, none, some = (
        torch.stack([torch.from_numpy(soundfile.read(f"{folder}/song/{name}.wav")[0]) for name in due])
        for folder in ("stems", "out0", "out3")
    )
    assert torch.equal(plain, none)
    assert not torch.equal(plain, some)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("-m", "untold", "--gibbs", "4"), ["partial_stems = true"]),
        (("-m", "default", "--gibbs", "4"), ["partial_stems = true"]),
        (("-m", "told", "--gibbs", "-1"), ["-1", "0 or more"]),
        (("-m", "told", "--gibbs", "many"), ["--gibbs"]),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(run: Run, place: Path, options, parts) -> None:
    outcome = run("separate", "song.wav", *options)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.complaint
    assert files_in("stems") == []


def test_other_steps_are_another_request_to_the_manifest(run: Run, place: Path) -> None:
    def status(*options: str) -> str:
        outcome = run("separate", "song.wav", "-m", "told", "--manifest", "list.jsonl", "--json", *options)
        return json.loads(outcome.out)["files"][0]["status"]

    assert [status(), status()] == ["done", "skipped"]
    assert [status("--gibbs", "1"), status("--gibbs", "1"), status("--gibbs", "2")] == ["done", "skipped", "done"]
    assert status() == "done"
