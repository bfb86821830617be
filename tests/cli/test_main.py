from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from torch import Tensor

import soli
from command_line import Run
from soli import zoo
from soli.audio import AudioWriter
from soli.errors import SoliError


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "soli.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def test_the_installed_command_prints_its_version() -> None:
    outcome = process("--version")
    assert (outcome.returncode, outcome.stdout) == (0, f"soli {soli.__version__}\n")


def test_a_process_ends_with_one_line_and_code_2(tmp_path) -> None:
    outcome = process("separate", str(tmp_path / "missing.wav"), "-m", str(tmp_path), "-o", str(tmp_path / "out"))
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("soli: ")
    assert outcome.stderr.count("\n") == 1
    assert outcome.stdout == ""


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    outcome = run()
    assert outcome.code == 0
    for command in ("separate", "query", "train", "models", "doctor"):
        assert command in outcome.out


@pytest.mark.parametrize("arguments", [("sing",), ("separate",), ("models", "--jsn"), ("train", "a.toml", "--set")])
def test_a_usage_error_is_one_line(run: Run, arguments) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.complaint
    assert outcome.out == ""


def test_models_as_json_are_what_the_zoo_says(run: Run) -> None:
    outcome = run("models", "--json")
    expected = [asdict(info) for info in zoo.available().values()]
    assert json.loads(outcome.out) == json.loads(json.dumps(expected))


def test_models_are_listed(run: Run) -> None:
    outcome = run("models")
    assert outcome.code == 0
    assert "default" in outcome.out
    assert "CC0-1.0" in outcome.out


def test_the_doctor_reports_what_it_tried(run: Run) -> None:
    outcome = run("doctor", "--json")
    findings = json.loads(outcome.out)
    assert (outcome.code, outcome.err) == (0, "")
    assert findings["versions"]["soli"] == soli.__version__
    assert set(findings["codecs"].values()) == {"ok"}
    assert {"wav", "flac", "ogg", "opus", "mp3"} < set(findings["codecs"])
    assert findings["devices"][-1]["name"] == "cpu"
    assert findings["memory"]["model"] == "default"
    assert findings["memory"]["real_time_factor"] > 0


def test_the_doctor_speaks_plainly(run: Run) -> None:
    outcome = run("doctor")
    assert outcome.code == 0
    assert "memory: default took" in outcome.out


def test_a_codec_that_does_not_work_is_named(run: Run, monkeypatch) -> None:
    write = AudioWriter.write

    def fail(self: AudioWriter, block: Tensor) -> Tensor:
        if self.path.suffix == ".mp3":
            raise SoliError("no encoder")
        return write(self, block)

    monkeypatch.setattr(AudioWriter, "write", fail)
    outcome = run("doctor", "--json")
    assert outcome.code == 2
    assert "mp3" in outcome.complaint
    assert json.loads(outcome.out)["codecs"]["mp3"] == "no encoder"


def test_train_hands_everything_to_the_training_room(run: Run, monkeypatch) -> None:
    calls = []
    stub = ModuleType("soli.training.run")

    def run_recipe(*arguments: object, report, on_step) -> Path:
        calls.append(arguments)
        report("one song decoded")
        on_step(1, 2, {"error": 0.5})
        return Path("runs/model")

    stub.run_recipe = run_recipe
    monkeypatch.setitem(sys.modules, "soli.training.run", stub)
    outcome = run("train", "recipe.toml", "--resume", "--set", "steps=3", "--set", "lr=1e-3")
    assert (outcome.code, outcome.out, outcome.err) == (0, "runs/model\n", "one song decoded\n")
    ((recipe, overrides, resume),) = calls
    assert (str(recipe), overrides, resume) == ("recipe.toml", ["steps=3", "lr=1e-3"], True)


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["colour=red"], ["'colour'", "system", "training"]),
        (["training.stepz=3"], ["'training.stepz'", "steps"]),
        (["training.steps=many"], ["training.steps = 'many'", "int"]),
        (["system=magic"], ["magic/modern", "classcond/modern"]),
        (["steps"], ["'steps'", "key=value"]),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(run: Run, overrides, parts) -> None:
    lines = ('system = "classcond"', 'preset = "modern"', 'output = "runs"', 'cache = "cache"', "data = []")
    Path("recipe.toml").write_text("\n".join(lines))
    outcome = run("train", "recipe.toml", *(part for override in overrides for part in ("--set", override)))
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.complaint
    assert not Path("runs").exists()


@pytest.mark.parametrize("content", [None, "system = = 3"])
def test_a_recipe_that_cannot_be_read_is_named(run: Run, content) -> None:
    if content is not None:
        Path("recipe.toml").write_text(content)
    outcome = run("train", "recipe.toml")
    assert outcome.code == 2
    assert "recipe.toml" in outcome.complaint


def test_a_missing_package_for_training_names_the_extra(run: Run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for name in [name for name in sys.modules if name.startswith("soli.training.")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = run("train", "recipe.toml")
    assert outcome.code == 2
    assert "soli[train]" in outcome.complaint
