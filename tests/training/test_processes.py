from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from soli.training.fit import CHECKPOINT, LOG, FitConfig, fit
from soli.training.processes import own_share
from training_toys import Bent, numbered

STEPS, TOGETHER = 6, 4


def config(batch_size: int) -> FitConfig:
    return FitConfig(
        steps=STEPS,
        batch_size=batch_size,
        learning_rate=1e-2,
        warmup=2,
        ema=0.5,
        precision="no",
        validate_every=3,
        checkpoint_every=STEPS,
    )


def train(folder: Path, n_processes: int, *, fresh: bool) -> None:
    """What each of the processes below does; a validation that only the first may run writes its rank."""
    share = own_share()
    torch.manual_seed(share.rank)  # a careless caller: the first process's numbers are to count

    def validate(task: torch.nn.Module) -> float:
        (folder / f"validated-{share.rank}").touch()
        return float(task.weight.sum())  # type: ignore[operator,union-attr]

    size = TOGETHER // n_processes
    task = Bent(fresh=fresh)
    trained = fit(task, numbered(size, share), config(size), folder, validate=None if fresh else validate)
    torch.save(trained.state_dict(), folder / f"rank-{share.rank}.pt")


def started(folder: Path, n_processes: int, *, fresh: bool) -> None:
    """The same training by several processes, as `torchrun` starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(n_processes),
        "OMP_NUM_THREADS": "1",
    }
    call = f"train(pathlib.Path({str(folder)!r}), {n_processes}, fresh={fresh})"
    code = f"import pathlib, test_processes; test_processes.{call}"
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": paths},
            stderr=subprocess.PIPE,
        )
        for rank in range(n_processes)
    ]
    for process in crew:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint.decode()


def test_two_processes_train_what_one_does_with_batches_twice_as_large(tmp_path: Path) -> None:
    started(tmp_path / "two", 2, fresh=False)
    torch.manual_seed(0)
    (tmp_path / "one").mkdir()
    train(tmp_path / "one", 1, fresh=False)
    due, found = (load_file(tmp_path / name / CHECKPOINT) for name in ("one", "two"))
    for name in due:
        if name.startswith(("model.", "ema.", "optimizer.")):
            torch.testing.assert_close(found[name], due[name], msg=name)
    assert not torch.equal(due["model.weight"], torch.zeros(3))
    log = [json.loads(line) for line in (tmp_path / "two" / LOG).read_text().splitlines()]
    assert [line["step"] for line in log if "error" in line] == [*range(1, STEPS + 1)]
    assert [path.name for path in (tmp_path / "two").glob("validated-*")] == ["validated-0"]


def test_what_a_first_batch_has_set_is_the_same_in_all_processes(tmp_path: Path) -> None:
    started(tmp_path / "two", 2, fresh=True)
    first, second = (torch.load(tmp_path / "two" / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name])
