"""What holds for the project as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "soli").rglob("*.py"))
FORBIDDEN = {"torchaudio", "librosa", "torchcodec", "pickle"}


def blocks(language: str) -> list[str]:
    """Code blocks of the README."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys) -> None:
    (example,) = blocks("python")
    seconds, rate = 3, 44100
    time = np.arange(seconds * rate) / rate
    soundfile.write(tmp_path / "song.wav", 0.2 * np.sin(2 * np.pi * np.outer(time, [220, 330])), rate)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in example.splitlines() if line]) <= 10
    exec(compile(example, "README.md", "exec"), {})
    assert f"{Path('stems', 'song', 'vocals.wav')} 3.0 s" in capsys.readouterr().out
    assert (tmp_path / "stems" / "song" / "vocals.wav").exists()


def test_the_commands_of_the_readme_exist() -> None:
    commands = re.findall(r"^(make|soli) (\S+)", "\n".join(blocks("sh")), re.MULTILINE)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", "soli.cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert len(commands) > 5
    for program, name in commands:
        assert name in (targets if program == "make" else shown)


def test_the_readme_opens_with_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()] == ["make demo", "make test"]


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (ROOT / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("statement", ["import soli", "import soli.cli.main, soli.zoo, soli.config"])
def test_importing_is_cheap(statement: str) -> None:
    heavy = {"torch", "numpy", "scipy", "soundfile", "av", "accelerate", "matplotlib"}
    code = f"import sys; {statement}; print(sorted({heavy!r} & set(sys.modules)))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout == "[]\n"


def test_every_public_name_can_be_had() -> None:
    code = "import soli; [getattr(soli, name) for name in soli.__all__]; print(len(soli.__all__))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(outcome.stdout) <= 12


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_import_nothing_forbidden_and_stay_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            after_docstring = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            length = (node.end_lineno or 0) - after_docstring[0].lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"
    assert not imported & FORBIDDEN
    assert len(text.splitlines()) <= 400
