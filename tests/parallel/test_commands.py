"""The commands that use an engine, with workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command_line import files_in, song
from data_trees import parts, write
from processes import alive, heeding_interrupts, wait_for
from soli.cli.main import run

ENGINES = ["local", "ray"]

LONG = 600.0
"""Seconds after which something hangs; a busy machine may take minutes to start two workers."""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=ENGINES)
def workers(request) -> tuple[str, ...]:
    """Options for two workers."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return ("--engine", request.param, "--workers", "2")


def test_a_catalogue_is_separated_and_every_input_is_accounted_for(workers) -> None:
    for number in range(3):
        song(f"album/{number}.wav", seed=number)
    Path("album/bad.wav").write_bytes(b"")
    command = ["separate", "album", "--manifest", "list.jsonl", "--json", *workers]
    assert run(command) == 2
    lines = [json.loads(line) for line in Path("list.jsonl").read_text().splitlines()]
    statuses = {Path(line["source"]).name: line["status"] for line in lines}
    assert len(lines) == 4
    assert statuses == {"0.wav": "done", "1.wav": "done", "2.wav": "done", "bad.wav": "failed"}
    for line in lines:
        if line["status"] == "done":
            stems = sum(soundfile.read(path)[0] for path in line["paths"].values())
            assert np.abs(stems - soundfile.read(line["source"])[0]).max() < 1e-4


def test_a_model_that_is_not_there_is_one_line(capsys) -> None:
    assert run(["separate", str(song("song.wav")), "--model", "nothing", "--workers", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'nothing'" in line
    assert files_in(".") == ["song.wav"]


def test_shards_do_not_depend_on_the_workers(workers, capsys) -> None:
    for number in range(5):
        write(Path("songs") / f"song{number}", parts(("vocals", "drums"), 1, 2000))
    command = ["data", "shard", "songs", "--layout", "stems", "--size", "10kB"]
    assert run([*command, "--out", "one"]) == 0
    assert run([*command, "--out", "two", *workers]) == 0
    assert len(files_in("one")) > 3
    assert {Path(name).name: Path(name).read_bytes() for name in files_in("one")} == {
        Path(name).name: Path(name).read_bytes() for name in files_in("two")
    }
    assert "5 tracks" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_ctrl_c_leaves_no_worker_and_no_file() -> None:
    for number in range(2):
        soundfile.write(f"{number}.flac", np.zeros(3600 * 8000, dtype=np.int16), 8000)  # an hour is never done
    command = [sys.executable, "-m", "soli.cli.main", "separate", "0.flac", "1.flac", "--workers", "2"]
    with heeding_interrupts():
        running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: _both_have_begun(running), LONG)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=LONG)
    assert running.returncode == 130
    assert errors == "soli: interrupted; nothing partial is left behind\n"
    assert len(children) >= 2
    wait_for(lambda: not any(alive(int(child)) for child in children), LONG)
    assert files_in(".") == ["0.flac", "1.flac"]


def _both_have_begun(running: subprocess.Popen[str]) -> bool:
    """Whether there are files in the folders of both songs."""
    assert running.poll() is None
    return len({name.split("/")[1] for name in files_in("stems")}) == 2
