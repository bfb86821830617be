"""`soli encode`: a recording in, a file of codes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soli.cli.options import DEVICE, JSON, MODEL
from soli.cli.terminal import print_json, progress_bar

if TYPE_CHECKING:
    from soli.codes import EncodedFile


def encode(
    source: Annotated[Path, typer.Argument(metavar="SONG", help="An audio or video file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Of the codes; by default SONG's name with .soli, here."),
    ] = None,
    model: MODEL = "rqvae",
    device: DEVICE = "auto",
    as_json: JSON = False,
) -> None:
    """Turn a recording into a small file of codes, from which `soli decode` makes stems."""
    from soli.codes import encode_file
    from soli.files import track_name

    path = Path(f"{track_name(source)}.soli") if out is None else out
    with progress_bar(shown=not as_json) as start:
        done = encode_file(source, path, model=model, device=device, progress=start(source.name))
    facts = _facts(done)
    if as_json:
        print_json(facts)
    else:
        _say(facts)


def _facts(done: EncodedFile) -> dict[str, Any]:
    """What `--json` prints."""
    song = done.song
    n_sequences, n_codebooks, n_frames = song.codes.shape
    return {
        "source": done.source,
        "path": done.path,
        "model": song.model,
        "sources": song.sources,
        "sample_rate": song.sample_rate,
        "seconds": song.seconds,
        "elapsed_seconds": done.elapsed_seconds,
        "n_sequences": n_sequences,
        "n_codebooks": n_codebooks,
        "codebook_size": song.codebook_size,
        "n_frames": n_frames,
        "n_bytes": done.n_bytes,
        "bits_per_second": song.bits_per_second,
    }


def _say(facts: dict[str, Any]) -> None:
    """Two lines for people."""
    typer.echo(f"{facts['source']}: {facts['seconds']:.1f} s in {facts['elapsed_seconds']:.1f} s")
    size = f"{facts['n_sequences']} x {facts['n_codebooks']} codebooks of {facts['codebook_size']}"
    rate = facts["bits_per_second"] / 1000
    rates = f"{rate:.1f} kbit/s in all, {rate / len(facts['sources']):.1f} per stem"
    typer.echo(f"  {facts['path']}: {size}, {facts['n_frames']} frames, {facts['n_bytes']} bytes, {rates}")
