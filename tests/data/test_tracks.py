from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audio_fakes import noise, save
from data_trees import LENGTH, RATE, parts, write
from soli.data.tracks import Stem, Track
from soli.errors import SoliError


def song(folder: Path, **options: object) -> tuple[Track, dict[str, np.ndarray]]:
    """A stereo bass, a stereo guitar that ends early and a mono piano."""
    signals = parts(("bass", "guitar", "piano"))
    signals["guitar"] = signals["guitar"][:, : LENGTH // 2]
    signals["piano"] = signals["piano"][:1]
    write(folder, signals)
    labels = {"bass": ("bass",), "guitar": ("other", "guitar"), "piano": ("other", "piano")}
    stems = {name: Stem(path=folder / f"{name}.wav", labels=labels[name]) for name in signals}
    whole = {name: np.zeros((2, LENGTH), np.float32) for name in signals}
    for name, signal in signals.items():
        whole[name][:, : signal.shape[1]] = signal.numpy()
    return Track(name="song", stems=stems, **options), whole  # type: ignore[arg-type]


def test_a_track_knows_its_size_without_being_read(tmp_path: Path) -> None:
    track, _ = song(tmp_path)
    assert (track.sample_rate, track.n_channels, track.n_samples) == (RATE, 2, LENGTH)
    assert track.seconds == LENGTH / RATE
    assert track.labels == ("bass", "other", "guitar", "piano")


@pytest.mark.parametrize(("start", "n_samples"), [(0, None), (17, 100), (1990, 50), (LENGTH - 1, 1), (2500, None)])
def test_any_span_is_what_the_whole_holds_there(tmp_path: Path, start: int, n_samples: int | None) -> None:
    track, whole = song(tmp_path)
    stop = LENGTH if n_samples is None else start + n_samples
    for name, signal in whole.items():
        read = track.read(name, start, n_samples)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, signal[:, start:stop])
    total = sum(signal[:, start:stop] for signal in whole.values())
    np.testing.assert_allclose(track.mixture(start, n_samples), total, atol=1e-6)


def test_stems_of_a_class_are_summed_once(tmp_path: Path) -> None:
    track, whole = song(tmp_path)
    other = whole["guitar"] + whole["piano"]
    np.testing.assert_allclose(track.submix("other"), other, atol=1e-6)
    np.testing.assert_allclose(track.submix("other", "guitar"), other, atol=1e-6)
    np.testing.assert_allclose(track.submix("guitar", start=5, n_samples=9), whole["guitar"][:, 5:14], atol=1e-6)
    np.testing.assert_allclose(track.submix("bass", "other"), track.mixture(), atol=1e-6)


def test_the_file_of_the_mixture_is_preferred_to_the_sum(tmp_path: Path) -> None:
    mix = noise(2, LENGTH, seed=9)
    track, _ = song(tmp_path, mix=Stem(path=save(tmp_path / "mix.wav", mix, RATE, "FLOAT")))
    np.testing.assert_array_equal(track.mixture(), mix.numpy())


def test_a_missing_stem_is_silence_only_where_the_dataset_says_so(tmp_path: Path) -> None:
    track, _ = song(tmp_path, silent=("drums",))
    assert track.read("drums").shape == (2, LENGTH)
    assert not track.read("drums").any()
    assert not track.submix("drums", n_samples=10).any()
    np.testing.assert_array_equal(track.submix("drums", "bass"), track.read("bass"))
    with pytest.raises(SoliError, match="song: no stem 'vocals'; there are: bass, guitar, piano"):
        track.read("vocals")
    with pytest.raises(SoliError, match="song: no stem of class 'vocals'; there are: bass, other, guitar, piano"):
        track.submix("bass", "vocals")


@pytest.mark.parametrize(("start", "n_samples"), [(-1, 5), (0, 0), (0, LENGTH + 1), (LENGTH, None), (LENGTH, 1)])
def test_a_span_outside_the_track_is_refused(tmp_path: Path, start: int, n_samples: int | None) -> None:
    track, _ = song(tmp_path)
    with pytest.raises(SoliError, match=f"samples .* do not exist; allowed: 0 to {LENGTH}"):
        track.read("bass", start, n_samples)


def test_files_that_do_not_fit_together_are_not_summed(tmp_path: Path) -> None:
    stems = {"a": Stem(path=save(tmp_path / "a.wav", noise(2, 100), 8000))}
    stems["b"] = Stem(path=save(tmp_path / "b.wav", noise(2, 100), 16000))
    with pytest.raises(SoliError, match="files of 8000, 16000 Hz; allowed: one rate"):
        Track(name="song", stems=stems).mixture()
    stems["b"] = Stem(path=save(tmp_path / "b.wav", noise(3, 100), 8000))
    with pytest.raises(SoliError, match=r"a\.wav: 2 channels; allowed here: 1 or 3"):
        Track(name="song", stems=stems).mixture()


def test_a_track_without_audio_says_why(tmp_path: Path) -> None:
    with pytest.raises(SoliError, match="song: this track has no audio"):
        Track(name="song", stems={}).mixture()
    with pytest.raises(SoliError, match="its metadata are gone"):
        _ = Track(name="song", stems={}, broken="its metadata are gone").n_samples


def test_reading_holds_no_more_than_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "long.wav", torch.zeros(1, 40 * RATE), RATE)
    decoded = []
    blocks = Stem.blocks

    def counted(self: Stem, n_samples: int, start: int):
        for block in blocks(self, n_samples, start):
            decoded.append(block.shape[1])
            yield block

    monkeypatch.setattr(Stem, "blocks", counted)
    track = Track(name="song", stems={"long": Stem(path=tmp_path / "long.wav")})
    assert track.read("long", 5 * RATE, 2 * RATE).shape == (1, 2 * RATE)
    assert sum(decoded) == 2 * RATE
