from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from soli import zoo
from soli.baselines.open_unmix import OpenUnmix, OpenUnmixConfig
from soli.baselines.open_unmix_weights import TARGETS, load_upstream
from soli.errors import SoliError

LSTM = [
    f"lstm.{kind}_{part}_l{layer}{way}"
    for layer in range(3)
    for way in ("", "_reverse")
    for kind in ("weight", "bias")
    for part in ("ih", "hh")
]
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
UPSTREAM = {  # the names in the published files, as the documentation of openunmix 1.3 has them
    *("input_mean", "input_scale", "output_mean", "output_scale", "fc1.weight", "fc2.weight", "fc3.weight"),
    *(f"bn{index}.{name}" for index in (1, 2, 3) for name in NORM),
    *LSTM,
}
OLD = {"stft.window": torch.ones(4096), "transform.0.window": torch.ones(4096), "sample_rate": torch.tensor(44100)}


def upstream_state(width: int = 32, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of the published names and shapes, with random values."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "input_mean": (1487,),
        "input_scale": (1487,),
        "output_mean": (2049,),
        "output_scale": (2049,),
        "fc1.weight": (width, 2974),
        "fc2.weight": (width, 2 * width),
        "fc3.weight": (4098, width),
    }
    shapes |= {f"bn{index}.{name}": (size,) for index, size in ((1, width), (2, width), (3, 4098)) for name in NORM[:4]}
    for name in LSTM:
        shapes[name] = (2 * width,) if "bias" in name else (2 * width, width // 2 if "_hh_" in name else width)
    state = {name: 0.1 * torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    return state | {f"bn{index}.num_batches_tracked": torch.tensor(7) for index in (1, 2, 3)}


Saver = Callable[[dict[str, Tensor], Path], None]


def pickled(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path)


def pickled_as_of_old(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def refused(folder: Path) -> str:
    with pytest.raises(SoliError) as caught:
        load_upstream(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_our_names_are_upstreams() -> None:
    ours = OpenUnmix(OpenUnmixConfig(hidden_size=32, sources=("vocals",)))
    assert set(ours.targets["vocals"].state_dict()) == UPSTREAM == set(upstream_state())


@pytest.mark.parametrize(
    ("save", "suffix"),
    [(pickled, "pth"), (pickled_as_of_old, "pth"), (save_file, "safetensors")],
    ids=["pth", "old pth", "safetensors"],
)
def test_published_files_come_back_tensor_by_tensor(tmp_path: Path, save: Saver, suffix: str) -> None:
    states = {name: upstream_state(seed=index) for index, name in enumerate(TARGETS)}
    for name, state in states.items():
        save(state | OLD, tmp_path / f"{name}.{suffix}")
    separator = load_upstream(tmp_path)
    assert separator.sources == TARGETS
    assert separator.config.hidden_size == 32
    assert not separator.training
    for name, state in states.items():
        loaded = separator.targets[name].state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in UPSTREAM)


def test_what_was_loaded_can_be_kept_as_a_model(tmp_path: Path) -> None:
    pickled(upstream_state(), tmp_path / "vocals.pth")
    pickled(upstream_state(seed=1), tmp_path / "drums.pth")
    separator = load_upstream(tmp_path, em_iterations=0)
    zoo.save(separator, tmp_path / "model", "---\nlicence: MIT\nsummary: a test\n---\n")
    mixture = 0.1 * torch.randn(2, 20000, generator=torch.Generator().manual_seed(0))
    due = separator.separate(mixture, 44100)
    got = zoo.load(tmp_path / "model").separate(mixture, 44100)
    assert got.sources == ("vocals", "drums")
    assert torch.equal(got.stems, due.stems)


def test_the_digest_in_a_name_is_held_against_the_file(tmp_path: Path) -> None:
    pickled(upstream_state(), tmp_path / "file")
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()[:8]
    (tmp_path / "file").rename(tmp_path / f"vocals-{digest}.pth")
    assert load_upstream(tmp_path).sources == ("vocals",)
    (tmp_path / f"vocals-{digest}.pth").rename(tmp_path / "vocals-b62c91ce.pth")
    assert "its SHA-256 is " in refused(tmp_path)
    assert "its name says b62c91ce" in refused(tmp_path)


class Trap:
    """What an unpickler would run."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("sprung"),)  # type: ignore[return-value]


@pytest.mark.parametrize("old", [True, False])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch, old: bool) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"fc1.weight": Trap()}, "vocals.pth", _use_new_zipfile_serialization=not old)
    assert "vocals.pth: refused, a pickle that holds more than tensors" in refused(tmp_path)
    assert not Path("sprung").exists()
    torch.load("vocals.pth", weights_only=False)  # it would have
    assert Path("sprung").exists()


def without(key: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in upstream_state().items() if name != key}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("bn2.bias"), "1 missing tensors, such as 'bn2.bias'"),
        (without("fc1.weight"), "no tensor 'fc1.weight'"),
        (upstream_state() | {"extra": torch.ones(1)}, "1 unknown tensors, such as 'extra'"),
        (upstream_state() | {"input_mean": torch.ones(9)}, r"'input_mean' has shape [9]; this model needs [1487]"),
        ({"state": upstream_state()}, "holds more than named tensors"),
        ([torch.ones(1)], "holds more than named tensors"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "bass.pth")
    assert message in refused(tmp_path)


@pytest.mark.parametrize("name", ["other.pth", "other.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no tensors")
    assert name in refused(tmp_path)


def test_folders_without_one_file_for_a_source_are_refused(tmp_path: Path) -> None:
    assert "no weights of Open-Unmix; allowed: a folder with vocals.pth" in refused(tmp_path)
    assert "no weights of Open-Unmix" in refused(tmp_path / "nowhere")
    for name in ("vocals.pth", "vocals-0123abcd.pth"):
        pickled(upstream_state(), tmp_path / name)
    assert "are both for vocals" in refused(tmp_path)


def test_a_torch_whose_reader_could_be_tricked_is_not_used(tmp_path: Path, monkeypatch) -> None:
    pickled(upstream_state(), tmp_path / "vocals.pth")
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    assert "torch 2.5.1 does not read .pth files safely; allowed: 2.6 or newer" in refused(tmp_path)
