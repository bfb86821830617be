from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.signal
import torch

RATE = 8000


@pytest.fixture(scope="session")
def museval() -> ModuleType:
    """The metrics of museval alone: importing the whole package asks for an ffmpeg binary."""
    package = importlib.util.find_spec("museval")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def coloured(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise with a spectrum of its own for every source (first axis), over a noise floor as 16 bits leave it."""
    noise = np.random.default_rng(seed)
    signals = np.stack(
        [
            scipy.signal.lfilter(*scipy.signal.butter(2, (0.05 + 0.2 * i, 0.4 + 0.2 * i), "band"), one)
            for i, one in enumerate(noise.standard_normal(shape))
        ]
    )
    return 0.2 * signals + 1e-5 * noise.standard_normal(shape)


def smeared(references: np.ndarray, seed: int) -> np.ndarray:
    """Estimates with all three faults: filtered, with some of the others, and with noise."""
    noise = np.random.default_rng(seed)
    filtered = scipy.signal.lfilter([0.7, 0.2, -0.1, 0.1], [1.0], references)
    others = references.sum(0) - references
    return filtered + 0.2 * others + 0.01 * noise.standard_normal(references.shape)


@pytest.fixture(scope="session")
def stereo() -> tuple[torch.Tensor, torch.Tensor]:
    """References and estimates `[2 2 T]`, 3 s; one reference is silent for a while, one estimate at another time."""
    references = coloured((2, 2, 3 * RATE), seed=0)
    references[1, :, 4000:9000] = 0
    estimates = smeared(references, seed=1)
    estimates[0, :, 15500:20200] = 0
    return torch.from_numpy(references), torch.from_numpy(estimates)


@pytest.fixture(scope="session")
def mono() -> tuple[torch.Tensor, torch.Tensor]:
    """References and estimates `[3 1 T]`, 2 s, never silent."""
    references = coloured((3, 1, 2 * RATE), seed=2)
    return torch.from_numpy(references), torch.from_numpy(smeared(references, seed=3))
