"""Music to files: out of nothing, after a song, or beside some stems of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from soli.audio import RESIDUAL, StemSet, read, resample
from soli.audio.formats import find_format
from soli.audio.stemset import MIX
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import Progress
from soli.systems.rqvae.music.sampling import Sampling
from soli.systems.rqvae.music.separator import LONGEST_SECONDS, RQVAEMusic


@dataclass(frozen=True, kw_only=True)
class GeneratedFiles:
    """What was written.

    Attributes:
        paths: by stem, and the mix; "residual" where clipping cut something off the stems.
        sample_rate: in Hz.
        n_samples: of every file.
        clipped: samples of the mix beyond full scale.
        elapsed_seconds: by the wall clock.
    """

    paths: dict[str, Path]
    sample_rate: int
    n_samples: int
    clipped: int
    elapsed_seconds: float

    @property
    def seconds(self) -> float:
        """Length of the music."""
        return self.n_samples / self.sample_rate


def generate_files(
    folder: str | Path,
    *,
    model: Separator,
    seconds: float = 20.0,
    seed: int = 0,
    sampling: Sampling | None = None,
    continued: str | Path | None = None,
    accompanied: str | Path | None = None,
    keep: Sequence[str] = (),
    format: str = "wav",
    progress: Callable[[Progress], None] | None = None,
) -> GeneratedFiles:
    """Make music and write its stems and their mix.

    Args:
        folder: where they go, named after the stems; made if missing. Older files of the same names are replaced, all
            of them at the very end; after an error or `Progress.cancel` none of the new ones is there.
        model: that makes music.
        seconds: of new music; of a song to accompany, how much of its beginning.
        seed: the same seed gives the same music.
        sampling: how codes are drawn.
        continued: a song to go on from.
        accompanied: a song of which some stems stay.
        keep: those stems.
        format: wav, flac, ogg, opus or mp3.
        progress: called with a `Progress` before the first frame is drawn and after each of them.

    Returns:
        What was written.

    Raises:
        SoliError: for a model that makes no music, files that cannot be read or written, and as `RQVAEMusic` does.
        Cancelled: after `Progress.cancel`.
    """
    began = time.monotonic()
    name = type(model).__name__.lower()
    if not isinstance(model, RQVAEMusic):
        raise SoliError(f"model {name!r} cannot make music")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise SoliError(f"seconds={seconds}; allowed: above 0, up to {LONGEST_SECONDS:g}")
    if continued is not None and accompanied is not None:
        raise SoliError("one song is continued or accompanied, not both")
    if keep and accompanied is None:
        raise SoliError(f"keep {', '.join(keep)} of which song? Give one to accompany")
    song = continued if accompanied is None else accompanied
    extension = format.lower().removeprefix(".")
    container = find_format(extension)
    paths = {stem: Path(folder) / f"{stem}.{extension}" for stem in (*model.sources, RESIDUAL, MIX)}
    if song is not None and Path(song).resolve() in [path.resolve() for path in paths.values()]:
        raise SoliError(f"{song}: the music would overwrite it; choose another folder")
    residual, mix_path = paths.pop(RESIDUAL), paths.pop(MIX)
    rate = container.nearest_rate(model.sample_rate)
    with StemSet(paths, residual, rate, 1, mix=mix_path) as files:  # opened first: drawing can take minutes
        if continued is not None:
            music = model.continued(_read(continued, model), model.sample_rate, seconds, seed, sampling, progress)
        elif accompanied is not None:
            part = _read(accompanied, model, seconds)
            music = model.accompanied(part, model.sample_rate, keep, seed, sampling, progress)
        else:
            music = model.sample(seconds, seed, sampling, progress)
        stems, mix = (resample(part, music.sample_rate, rate) for part in (music.stems.flatten(0, 1), music.mixture))
        files.write(mix, stems[:, None])
    return GeneratedFiles(
        paths=files.paths,
        sample_rate=rate,
        n_samples=files.n_samples,
        clipped=files.clipped[MIX],
        elapsed_seconds=time.monotonic() - began,
    )


def _read(song: str | Path, model: Separator, seconds: float | None = None) -> Tensor:
    """A song, or its beginning, at the model's rate, `[C T]`."""
    waveform, rate = read(song, 0.0, seconds)
    return resample(waveform, rate, model.sample_rate)
