"""From what `generate_files` has written to the data of an HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soli.audio.stemset import MIX
from soli.cli.run_facts import command, link, loudness, model_facts, model_record, sha256_of, version_facts, versions
from soli.report import ReportData
from soli.report.sound import LONGEST_SECONDS

if TYPE_CHECKING:
    from soli.generation import GeneratedFiles
    from soli.separator import Separator
    from soli.systems.rqvae.music.sampling import Sampling


def report_on_music(
    done: GeneratedFiles,
    folder: Path,
    name: str,
    model: Separator,
    *,
    seed: int,
    sampling: Sampling,
    about: str,
    song: Path | None = None,
) -> ReportData:
    """Gather what a report of generated music shows.

    Args:
        done: what was written.
        folder: where the page will be, for its links to the files.
        name: of the model, or its folder, for `soli.load`.
        model: the model itself.
        seed: of the music.
        sampling: how codes were drawn.
        about: what the music began with, in a sentence.
        song: what it continued or accompanied.

    Returns:
        The data.

    Raises:
        SoliError: for files that cannot be read again.
    """
    from soli.audio import read
    from soli.files import model_name
    from soli.zoo import model_info

    sounds = {stem: read(path, stop=LONGEST_SECONDS)[0] for stem, path in done.paths.items()}
    length = min(sound.shape[-1] for sound in sounds.values())
    mix = sounds.pop(MIX)[:, :length]
    stems = {stem: sound[:, :length] for stem, sound in sounds.items()}
    info = model_info(name)
    run: dict[str, Any] = {
        "command": command(),
        "song": None if song is None else {"name": song.name, "sha256": sha256_of(song)},
        "model": model_record(name, info, model),
        "seed": seed,
        "sampling": asdict(sampling),
        "output": {"sample_rate": done.sample_rate, "n_samples": done.n_samples, "clipped": done.clipped},
        "versions": versions(),
    }
    facts = {"Music": about, "Seed": str(seed), "Sampling": _sampling(sampling), **model_facts(info)}
    if song is not None:
        facts["SHA-256 of the song"] = run["song"]["sha256"]
    facts |= {**version_facts(run), "Sound": f"{done.sample_rate} Hz, {done.n_samples} samples"}
    if done.clipped:
        facts["Clipped"] = f"{done.clipped} samples of the mix"
    return ReportData(
        title=f"Music, seed {seed}",
        sample_rate=done.sample_rate,
        mixture=mix.numpy(),
        stems={stem: sound.numpy() for stem, sound in stems.items()},
        loudness={stem: loudness(sound, done.sample_rate) for stem, sound in {"mixture": mix, **stems}.items()},
        seconds=done.elapsed_seconds,
        total_seconds=done.seconds,
        model=model_name(name),
        generated=True,
        facts=facts,
        files={stem: link(path, folder) for stem, path in done.paths.items()},
        manifest=run,
    )


def origin(
    done: GeneratedFiles, seconds: float, continued: Path | None, accompanied: Path | None, keep: Sequence[str]
) -> str:
    """What music began with.

    Args:
        done: what was written.
        seconds: of new music, as asked for.
        continued: the song before it.
        accompanied: the song of which some stems stayed.
        keep: those stems.

    Returns:
        A sentence.
    """
    if continued is not None:
        heard = done.seconds - seconds
        return (
            f"Goes on after {continued.name}: its {heard:.1f} s as the codec plays them, then {seconds:.1f} s of new."
        )
    if accompanied is not None:
        return f"Beside {', '.join(keep)} of {accompanied.name}, as the codec plays them; the other stems are new."
    return "Out of nothing."


def _sampling(sampling: Sampling) -> str:
    """In words."""
    top_k = f"the {sampling.top_k} likeliest codes" if sampling.top_k else "all codes"
    return f"temperature {sampling.temperature:g}, from {top_k}, top-p {sampling.top_p:g}"
