from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as serialize

from soli import zoo
from soli.errors import SoliError
from tiny import CARD, Tiny, TinyConfig, install


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Tiny:
    return install(monkeypatch, tmp_path / "weights")


@pytest.fixture
def folder(tiny, tmp_path) -> Path:
    return tmp_path / "weights" / "tiny"


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_weights(folder: Path, content: bytes) -> None:
    """Swap the weights and sign them, so that only what is inside can be wrong."""
    import hashlib

    (folder / "model.safetensors").write_bytes(content)
    edit_config(folder, sha256=hashlib.sha256(content).hexdigest())


def refused(name: str | Path) -> str:
    with pytest.raises(SoliError) as caught:
        zoo.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("as_path", [False, True])
def test_a_saved_model_comes_back_equal(tiny, folder, as_path) -> None:
    loaded = zoo.load(folder if as_path else "default")
    mixture = torch.randn(2, 500)
    assert isinstance(loaded, Tiny)
    assert not loaded.training
    assert loaded.config == tiny.config
    assert torch.equal(loaded.separate(mixture, 44100).stems, tiny.separate(mixture, 44100).stems)


def test_half_precision_is_half_on_disk_and_float32_in_memory(tiny, folder, tmp_path) -> None:
    zoo.save(tiny, tmp_path / "half", CARD, half=True)
    loaded = zoo.load(tmp_path / "half")
    assert torch.equal(loaded.shares, tiny.shares.half().float())
    assert loaded.shares.dtype is torch.float32
    assert zoo.model_info(folder).bytes - zoo.model_info(tmp_path / "half").bytes == 2 * tiny.shares.numel()


def test_loading_spends_none_of_the_callers_random_numbers(folder) -> None:
    state = torch.get_rng_state()
    zoo.load(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_replaces_the_older_model_and_leaves_nothing_else(tiny, folder) -> None:
    other = Tiny(replace(tiny.config, sources=("a", "b")))
    zoo.save(other, folder, CARD)
    assert zoo.load(folder).sources == ("a", "b")
    assert sorted(path.name for path in folder.iterdir()) == ["card.md", "config.json", "model.safetensors"]


def test_the_list_states_what_the_files_say(tiny, folder) -> None:
    info = zoo.available()
    assert list(info) == ["default"]
    facts = info["default"]
    assert (facts.system, facts.preset, facts.sources) == ("tiny", "paper", tiny.sources)
    assert (facts.n_parameters, facts.sample_rate) == (3, 44100)
    assert (facts.licence, facts.summary) == ("CC0-1.0", "splits by fixed shares")
    assert facts.bytes == (folder / "model.safetensors").stat().st_size


def test_an_unknown_name_lists_what_there_is(tiny) -> None:
    message = refused("vocal-remover")
    assert "'vocal-remover'" in message
    assert "default" in message
    assert "absent" not in message


@pytest.mark.parametrize("suffix", zoo.PICKLES)
def test_a_pickle_is_refused_by_name_and_never_opened(tmp_path, suffix) -> None:
    path = tmp_path / f"model{suffix}"
    assert "nothing is ever unpickled" in refused(path)


def test_a_folder_with_only_a_pickle_says_why_it_does_not_load(folder) -> None:
    (folder / "model.safetensors").rename(folder / "model.pt")
    message = refused(folder)
    assert "model.safetensors is missing" in message
    assert "model.pt" in message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name) -> None:
    (folder / name).unlink()
    assert f"{name} is missing" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe\x00"])
def test_a_corrupt_config_is_named(folder, content) -> None:
    (folder / "config.json").write_bytes(content)
    assert "config.json" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"format": 2}, ["format 2", "reads format 1"]),
        ({"system": "magic"}, ["magic/paper", "tiny/paper"]),
        ({"surprise": 1}, ["'surprise'", "known"]),
        ({"sample_rate": "fast"}, ["sample_rate = 'fast'", "int"]),
        ({"config": {"sources": "vocals"}}, ["config.sources", "a list of str"]),
        ({"config": {"colour": "red"}}, ["config.colour", "sources, sample_rate"]),
        ({"config": 3}, ["config = 3"]),
        ({"sha256": "0" * 64}, ["model.safetensors", "SHA-256"]),
    ],
)
def test_a_wrong_config_says_what_is_allowed(folder, changes, parts) -> None:
    edit_config(folder, **changes)
    message = refused(folder)
    for part in parts:
        assert part in message


def test_truncated_weights_are_noticed(folder) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle in a zip", b"\x10" * 200])
def test_weights_that_are_not_safetensors_are_named(folder, content) -> None:
    replace_weights(folder, content)
    assert "not a safetensors file" in refused(folder)


@pytest.mark.parametrize(
    ("tensors", "part"),
    [
        ({}, "missing tensors, such as 'shares'"),
        ({"shares": torch.zeros(3), "more": torch.zeros(1)}, "unknown tensors, such as 'more'"),
        ({"shares": torch.zeros(4)}, "'shares' has shape [4]; this model needs [3]"),
    ],
)
def test_weights_of_another_model_are_refused(folder, tensors, part) -> None:
    replace_weights(folder, serialize(tensors))
    assert part in refused(folder)


@pytest.mark.parametrize(("device", "part"), [("gpu", "unknown device"), ("cuda:99", "not on this machine")])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(folder, device, part) -> None:
    with pytest.raises(SoliError, match=part) as caught:
        zoo.load(folder, device=device)
    assert "cpu" in str(caught.value)


def test_only_known_classes_are_saved(monkeypatch, tmp_path) -> None:
    with pytest.raises(SoliError, match="known classes"):
        zoo.save(Tiny(TinyConfig()), tmp_path / "out", CARD)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("card", ["", "# Tiny", "---\nlicence: MIT\n---\n", "---\nsummary: x\nlicence:\n---\n"])
def test_a_card_must_state_licence_and_summary(tiny, tmp_path, card) -> None:
    with pytest.raises(SoliError, match=r"card\.md.*(licence|summary)"):
        zoo.save(tiny, tmp_path / "out", card)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("value", "half"), [(float("nan"), False), (1e6, True)])
def test_weights_that_would_not_be_finite_are_not_saved(tiny, tmp_path, value, half) -> None:
    with torch.no_grad():
        tiny.shares[0] = value
    with pytest.raises(SoliError, match="'shares'"):
        zoo.save(tiny, tmp_path / "out", CARD, half=half)
    assert not (tmp_path / "out").exists()


def test_a_failed_rename_leaves_the_older_model_whole(tiny, folder, monkeypatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SoliError, match="No space left"):
        zoo.save(Tiny(TinyConfig(sources=("a",))), folder, CARD)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
