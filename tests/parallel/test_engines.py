from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import cast

import pytest

import parallel_units as units
from processes import alive, heeding_interrupts, wait_for
from soli.errors import SoliError
from soli.parallel import Engine, open_engine
from soli.parallel.cluster import RayEngine
from soli.parallel.local import count_cores

TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["in this process", "local", "ray"])
def engine(request) -> Iterator[Engine]:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    name = "ray" if request.param == "ray" else "local"
    with open_engine(name, n_workers=0 if request.param == "in this process" else 2) as opened:
        yield opened


@pytest.fixture(params=["local", "ray"])
def workers(request) -> Iterator[Engine]:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    with open_engine(request.param, n_workers=2) as opened:
        yield opened


def test_every_unit_has_one_outcome_with_the_value_of_the_work(engine: Engine) -> None:
    outcomes = list(engine.map(units.nothing, units.square, range(30)))
    assert sorted((outcome.unit, outcome.value) for outcome in outcomes) == [(n, n**2) for n in range(30)]
    assert {outcome.error for outcome in outcomes} == {None}


def test_no_units_give_no_outcomes(engine: Engine) -> None:
    assert list(engine.map(units.nothing, units.square, [])) == []


def test_each_worker_is_set_up_once_and_both_work(workers: Engine, tmp_path) -> None:
    outcomes = list(workers.map(partial(units.note_setup, tmp_path), units.process, range(200)))
    processes = {outcome.value for outcome in outcomes}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert {path.name for path in tmp_path.glob("setup-*")} == {f"setup-{process}" for process in processes}
    assert len(list(tmp_path.glob("unit-*"))) == 200


def test_a_unit_that_fails_says_why_in_one_line_and_the_others_go_on(engine: Engine) -> None:
    outcomes = {outcome.unit: outcome for outcome in engine.map(units.nothing, units.fail_on_odd, range(8))}
    assert {unit for unit, outcome in outcomes.items() if outcome.error is None} == {0, 2, 4, 6}
    assert outcomes[5].error == "unit 5 is odd; allowed: even"
    assert outcomes[7].error is not None
    assert outcomes[7].error.startswith("ZeroDivisionError: by zero (parallel_units.py:")
    assert outcomes[7].value is None


def test_a_setup_that_fails_is_an_error_before_any_work(engine: Engine) -> None:
    with pytest.raises(SoliError, match="no such model 'x'; allowed: y"):
        next(engine.map(units.fail_setup, units.square, range(3)))


def test_workers_that_die_in_their_setup_are_not_started_for_ever(workers: Engine) -> None:
    with pytest.raises(SoliError, match="3 workers died"):
        next(workers.map(units.die, units.square, range(3)))


def test_the_unit_of_a_killed_worker_is_done_again_and_none_is_lost_or_doubled(workers: Engine, tmp_path) -> None:
    outcomes = list(workers.map(partial(units.note_setup, tmp_path), units.die_first, range(8)))
    assert sorted(outcome.unit for outcome in outcomes) == list(range(8))
    for outcome in outcomes:
        expected = (None, "worker died") if outcome.unit == 5 else (outcome.unit**2, None)
        assert (outcome.value, outcome.error) == expected
    tries = {unit: len(list(tmp_path.glob(f"try-{unit}-*"))) for unit in range(8)}
    assert tries == {0: 2, 1: 1, 2: 1, 3: 2, 4: 1, 5: 3, 6: 2, 7: 1}


def test_a_single_worker_goes_on_after_a_unit_that_always_kills_it(tmp_path) -> None:
    with open_engine("local") as engine:
        outcomes = list(engine.map(partial(units.note_setup, tmp_path), units.die_first, [5, 1]))
    assert [(outcome.unit, outcome.error) for outcome in outcomes] == [(5, "worker died"), (1, None)]


def test_a_result_that_cannot_be_sent_is_an_error_of_its_unit(workers: Engine) -> None:
    outcomes = {outcome.unit: outcome for outcome in workers.map(units.nothing, units.unsendable, range(3))}
    assert "pickle" in str(outcomes[1].error)
    assert (outcomes[0].value, outcomes[2].value) == (0, 2)


def test_an_endless_list_of_units_is_taken_one_by_one(engine: Engine) -> None:
    taken = []

    def endless() -> Iterator[int]:
        for unit in count():
            taken.append(unit)
            yield unit

    outcomes = engine.map(units.nothing, units.square, endless())
    assert len(list(islice(outcomes, 20))) == 20
    assert len(taken) <= 20 + 2


def test_local_workers_share_the_cores(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with open_engine("local", n_workers=2) as engine:
        (outcome,) = engine.map(units.nothing, units.environment, ["OMP_NUM_THREADS"])
    assert outcome.value == str(max(1, count_cores() // 2))
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("dask", {}, ["'dask'", "local, ray"]),
        ("local", {"n_workers": -1}, ["-1", "0"]),
        ("ray", {"n_workers": -1}, ["-1", "0"]),
        ("local", {"address": "auto"}, ["'auto'", "ray"]),
    ],
)
def test_a_wrong_engine_is_refused_with_what_is_allowed(name, options, parts) -> None:
    with pytest.raises(SoliError) as caught:
        open_engine(name, **options)
    for part in parts:
        assert part in str(caught.value)


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SoliError, match=r"soli\[cluster\]"):
        open_engine("ray")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_an_error_at_once(address) -> None:
    pytest.importorskip("ray")
    with pytest.raises(SoliError, match=f"no Ray cluster at '{address}': "):
        RayEngine(1, address, gpu=False)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_stopping_the_program_leaves_no_worker_and_no_temporary_file(tmp_path, number) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from functools import partial
from pathlib import Path
import parallel_units as units
from processes import alive, wait_for
from soli.parallel import open_engine
if __name__ == "__main__":
    with open_engine("local", n_workers=2) as engine:
        setup = partial(units.note_setup, Path({str(tmp_path)!r}))
        list(engine.map(setup, units.sleep_with_a_temporary_file, range(9)))
"""
    path = tmp_path / "program.py"
    path.write_text(program)
    with heeding_interrupts():
        running = subprocess.Popen([sys.executable, path], start_new_session=True, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len([part for part in tmp_path.glob("*.part") if part.read_text()]) == 2)
    processes = [int(part.read_text()) for part in tmp_path.glob("*.part")]
    assert all(map(alive, processes))
    if number == signal.SIGINT:  # a terminal sends it to all processes of the program
        os.killpg(running.pid, number)
    else:
        running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    wait_for(lambda: not any(map(alive, processes)))
    assert running.returncode == -number
    assert list(tmp_path.glob("*.part")) == []
    assert errors.count("Traceback") == (number == signal.SIGINT)  # the program's own, none of a worker


@pytest.mark.usefixtures("cluster")
def test_a_cluster_has_a_worker_per_core_by_default() -> None:
    assert cast(RayEngine, open_engine("ray", n_workers=0)).n_workers == 2


@pytest.mark.usefixtures("cluster")
def test_leaving_a_map_early_stops_the_actors(tmp_path) -> None:
    with open_engine("ray", n_workers=2) as engine:
        outcomes = engine.map(partial(units.note_setup, tmp_path), units.process, range(100))
        processes = {outcome.value for outcome in islice(outcomes, 60)}
        assert all(map(alive, processes))
    wait_for(lambda: not any(map(alive, processes)))
