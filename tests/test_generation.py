from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audio_fakes import save as save_audio
from command_line import files_in
from rqvae_models import RATE, song
from rqvae_music import music, save
from soli.cli import generate as command
from soli.cli.main import run
from soli.errors import Cancelled
from soli.generation import generate_files
from soli.streaming import Progress
from soli.systems.rqvae.music.separator import RQVAEMusic

STEMS = ("bass", "drums", "guitar", "piano")


@pytest.fixture(scope="module")
def model() -> RQVAEMusic:
    return music()


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    return save_audio(tmp_path / "song.wav", song(0.5).sum(dim=0), RATE)


@pytest.mark.parametrize("kind", ["nothing", "continued", "accompanied"])
def test_progress_goes_through_the_new_frames_from_none_to_all(
    model: RQVAEMusic, mixture: Path, tmp_path: Path, kind: str
) -> None:
    events: list[Progress] = []
    options: dict[str, Any] = {} if kind == "nothing" else {kind: mixture}
    if kind == "accompanied":
        options["keep"] = ("bass",)
    done = generate_files(tmp_path / "music", model=model, seconds=0.25, progress=events.append, **options)
    frame = model.config.codec.samples_per_frame
    n_given = max(round(0.5 * RATE) // frame - 2, 0) if kind == "continued" else 0
    n_drawn = done.n_samples // frame + 2 - n_given
    fractions = [event.fraction for event in events]
    assert fractions == pytest.approx([step / n_drawn for step in range(n_drawn + 1)])
    assert (fractions[0], fractions[-1]) == (0, 1)
    elapsed = [event.elapsed_seconds for event in events]
    assert elapsed == sorted(elapsed)


def test_cancelling_stops_at_the_next_frame_and_leaves_what_was_there(model: RQVAEMusic, tmp_path: Path) -> None:
    folder, events = tmp_path / "music", []
    folder.mkdir()
    (folder / "mix.wav").write_text("older")

    def cancel_soon(event: Progress) -> None:
        events.append(event)
        if len(events) == 3:
            event.cancel()

    with pytest.raises(Cancelled, match="music: cancelled"):
        generate_files(folder, model=model, seconds=0.5, progress=cancel_soon)
    assert len(events) == 3
    assert files_in(folder) == [str(folder / "mix.wav")]
    assert (folder / "mix.wav").read_text() == "older"


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["for people", "json"])
def test_the_command_shows_a_bar_to_people(
    model: RQVAEMusic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    bars: list[bool] = []
    events: list[Progress] = []

    @contextmanager
    def bar(*, shown: bool) -> Iterator[Callable[[str], Callable[[Progress], None]]]:
        bars.append(shown)
        yield lambda label: events.append

    folder = save(tmp_path / "models", model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "progress_bar", bar)
    assert run(["generate", "--seconds", "0.2", "-m", str(folder), *options]) == 0
    assert bars == [not options]
    assert (events[0].fraction, events[-1].fraction) == (0, 1)
    assert files_in("music") == [f"music/{name}.wav" for name in sorted((*STEMS, "mix"))]
