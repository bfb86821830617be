"""`soli generate`: new music in stems."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soli.cli.options import DEVICE, JSON, MODEL
from soli.cli.terminal import print_json, progress_bar


def generate(
    seconds: Annotated[
        float, typer.Option(help="Of new music; with --accompany, how much of the song's beginning.")
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same music.")] = 0,
    model: MODEL = "rqvae-music",
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the stems and the mix go; made if missing.")
    ] = Path("music"),
    temperature: Annotated[float, typer.Option(help="Below 1 the likely becomes likelier.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw from the so many likeliest codes; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest codes that have this probability.")] = 1.0,
    continued: Annotated[Path | None, typer.Option("--continue", metavar="SONG", help="Go on where it ends.")] = None,
    accompanied: Annotated[
        Path | None, typer.Option("--accompany", metavar="SONG", help="Make up the stems that are not kept.")
    ] = None,
    keep: Annotated[str | None, typer.Option(metavar="A,B", help="Stems of that song that stay.")] = None,
    format: Annotated[str, typer.Option(help="wav, flac, ogg, opus or mp3.")] = "wav",
    device: DEVICE = "auto",
    report: Annotated[bool, typer.Option("--report", help="Write an HTML report beside the stems.")] = False,
    as_json: JSON = False,
) -> None:
    """Make music in stems: out of nothing, after a song, or beside some of its stems."""
    from soli.cli.report import check_page
    from soli.generation import generate_files
    from soli.systems.rqvae.music.sampling import Sampling
    from soli.zoo import load

    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    kept = () if keep is None else tuple(name.strip() for name in keep.split(","))
    page = out / "report.html"
    if report:
        check_page(page)
    player = load(model, device)
    with progress_bar(shown=not as_json) as start:
        done = generate_files(
            out,
            model=player,
            seconds=seconds,
            seed=seed,
            sampling=sampling,
            continued=continued,
            accompanied=accompanied,
            keep=kept,
            format=format,
            progress=start("music"),
        )
    if report:
        from soli.cli.music_reporting import origin, report_on_music
        from soli.report import write_report

        about = origin(done, seconds, continued, accompanied, kept)
        song = accompanied if continued is None else continued
        data = report_on_music(done, out, model, player, seed=seed, sampling=sampling, about=about, song=song)
        write_report(page, data)
    if as_json:
        facts = asdict(done) | {"model": model, "seed": seed, "seconds": done.seconds}
        print_json(facts | {"report": page} if report else facts)
        return
    clipped = f", clipped samples in the mix: {done.clipped}" if done.clipped else ""
    typer.echo(f"{done.seconds:.1f} s of music in {done.elapsed_seconds:.1f} s{clipped}")
    for path in (*done.paths.values(), *([page] if report else [])):
        typer.echo(f"  {path}")
