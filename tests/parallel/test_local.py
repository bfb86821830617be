from __future__ import annotations

from typing import Any, cast

import pytest

from soli.parallel.local import _end


class SlowProcess:
    """A process that does not end within any time that one could name."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def terminate(self) -> None:
        self.said.append("terminate")

    def join(self, timeout: float | None = None) -> None:
        if timeout is None:
            self.said.append("ended")

    def is_alive(self) -> bool:
        return "ended" not in self.said

    def kill(self) -> None:
        pytest.fail("a worker was killed, and could not drop its temporary files")

    def close(self) -> None:
        assert not self.is_alive()


class SlowWorker:
    """Such a process, and its pipe."""

    def __init__(self) -> None:
        self.process, self.pipe = SlowProcess(), self

    def close(self) -> None:
        """The pipe is closed before the end is awaited: with its unit done, the worker has nobody to answer."""
        assert self.process.said == ["terminate"]


def test_a_worker_that_takes_long_to_stop_is_waited_for_and_not_killed() -> None:
    workers = [SlowWorker(), SlowWorker()]
    _end(cast(Any, workers))
    assert all(worker.process.said == ["terminate", "ended"] for worker in workers)
