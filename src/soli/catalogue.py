"""Many files in, their stems out, by any engine; a manifest says of every file what became of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from soli.audio import FORMATS, RESIDUAL
from soli.errors import SoliError
from soli.files import SeparatedFile, choose_stems, model_name, output_paths, separate_file
from soli.parallel import Engine, Outcome
from soli.separator import Separator
from soli.streaming import Progress

Job = tuple[Path, Path]
"""An input and its output folder."""

Watch = Callable[[Job], Callable[[Progress], None]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How every file is separated; see `soli.separate_file`.

    Attributes:
        model: a name or folder for `soli.load`; each worker loads it once.
        stems: which to write; None for all.
        format: of the files; None for the usual one.
        filename: template of their names.
        device: of each worker.
        skip_existing: pass over files whose stems are there already.
        gibbs: steps in which a model that can be told stems corrects itself; None for none.
    """

    model: str = "default"
    stems: tuple[str, ...] | None = None
    format: str | None = None
    filename: str = "{track}/{stem}.{ext}"
    device: str = "auto"
    skip_existing: bool = False
    gibbs: int | None = None


def separate_catalogue(
    jobs: Sequence[Job],
    request: Request,
    engine: Engine,
    *,
    manifest: str | Path | None = None,
    watch: Watch | None = None,
) -> Iterator[Outcome[Job, SeparatedFile]]:
    """Separate files, each as soon as a worker is free.

    Args:
        jobs: inputs, each once, with the folders for their stems; with workers elsewhere absolute paths.
        request: what is asked of all.
        engine: what does the work.
        manifest: a file of one line of JSON per input. What it says was done, by the same request and with all files
            still there, is not done again; what failed is.
        watch: makes the `progress` of `separate_file` for a job; only for an engine that works in this process.

    Yields:
        What was written, or why there is nothing; first what the manifest says was done, as skipped.

    Raises:
        SoliError: for a model that cannot be loaded, stems that it does not have, and a manifest that is none.
    """
    lines = None if manifest is None else Manifest(Path(manifest), jobs, request)
    done = {} if lines is None else lines.done
    for job, result in done.items():
        yield Outcome(job, result)
    todo = [job for job in jobs if job not in done]
    try:
        if not todo:
            return
        for outcome in engine.map(partial(_load, request), partial(_separate, request, watch), todo):
            if lines is not None:
                lines.append(outcome)
            yield outcome
    finally:
        if lines is not None:
            lines.close()


def _load(request: Request) -> Separator:
    """What a worker needs; a wrong stem is refused once, not once per file."""
    from soli.baselines.gibbs import Gibbs
    from soli.zoo import load

    separator = load(request.model, request.device)
    if request.gibbs is not None:
        separator = Gibbs(separator, request.gibbs).eval()
    choose_stems(separator.sources, request.stems)
    return separator


def _separate(request: Request, watch: Watch | None, separator: Separator, job: Job) -> SeparatedFile:
    """What a worker does."""
    source, folder = job
    # A separator does not know what it was loaded as.
    filename = request.filename.replace("{model}", model_name(request.model))
    names = (*choose_stems(separator.sources, request.stems), RESIDUAL)
    _sweep(
        path for suffix in FORMATS for path in output_paths(source, folder, names, suffix, filename=filename).values()
    )
    done = separate_file(
        source,
        folder,
        model=separator,
        stems=request.stems,
        format=request.format,
        filename=filename,
        progress=None if watch is None else watch(job),
        skip_existing=request.skip_existing,
    )
    return replace(done, model=request.model)


def _sweep(paths: Iterable[Path]) -> None:
    """Drop the temporary files that a worker has left of these when it was killed."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, wanted in names.items():
        for path in folder.glob(".*.part"):
            if path.name[1:].rsplit(".", 2)[0] in wanted:
                path.unlink(missing_ok=True)


class Manifest:
    """A file of one line of JSON per input: done, or failed with the reason.

    It is not touched before there is something to write. Lines about other inputs stay.

    Args:
        path: of the file; made if missing, with its folder.
        jobs: of this run.
        request: of this run.

    Attributes:
        done: those of an earlier run with the same request whose files are all there.

    Raises:
        SoliError: for a file that is something else.
    """

    def __init__(self, path: Path, jobs: Sequence[Job], request: Request) -> None:
        self.path = path
        self._request = {key: getattr(request, key) for key in ("model", "format", "filename")}
        self._request["stems"] = None if request.stems is None else list(request.stems)
        if request.gibbs is not None:
            self._request["gibbs"] = request.gibbs
        self._stream: IO[bytes] | None = None
        lines = _read(path)
        self.done: dict[Job, SeparatedFile] = {}
        for job in jobs:
            line = lines.get(_absolute(job[0]))
            result = None if line is None else self._result(line, job)
            if result is not None:
                self.done[job] = result
        redone = {_absolute(source) for source, folder in jobs if (source, folder) not in self.done}
        self._kept = [line for source, line in lines.items() if source not in redone]

    def append(self, outcome: Outcome[Job, SeparatedFile]) -> None:
        """Add the line of an input; once this returns, a killed process does not lose it.

        Args:
            outcome: of the input.

        Raises:
            SoliError: for a full disk.
        """
        source, folder = outcome.unit
        facts: dict[str, Any] = {"source": _absolute(source), "folder": _absolute(folder)}
        if outcome.value is None:
            facts |= {"status": "failed", "error": outcome.error}
        else:
            result = asdict(outcome.value)
            del result["source"], result["skipped"], result["model"]
            result["paths"] = {stem: _absolute(path) for stem, path in outcome.value.paths.items()}
            facts |= {"status": "done", "seconds": outcome.value.seconds, **result}
        try:
            if self._stream is None:
                self._stream = self._open()
            self._stream.write(_line(facts | {"request": self._request}))
            self._stream.flush()
        except OSError as error:
            raise SoliError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def _open(self) -> IO[bytes]:
        """Drop the lines that are about to be written anew, all at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.part")
        temporary.write_bytes(b"".join(map(_line, self._kept)))
        temporary.replace(self.path)
        return self.path.open("ab")

    def _result(self, line: Mapping[str, Any], job: Job) -> SeparatedFile | None:
        """What was done, if it is what is wanted now and is still there."""
        source, folder = job
        wanted = {"folder": _absolute(folder), "status": "done", "request": self._request}
        if any(line.get(key) != value for key, value in wanted.items()):
            return None
        paths = {stem: Path(path) for stem, path in line["paths"].items()}
        if not all(path.exists() for path in paths.values()):
            return None
        names = ("sample_rate", "source_rate", "n_channels", "n_samples", "subtype", "elapsed_seconds", "null_dbfs")
        facts = {name: line[name] for name in (*names, "peaks", "clipped")}
        return SeparatedFile(source=source, model=self._request["model"], paths=paths, skipped=True, **facts)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Source -> its line; a last line that is not whole was being written when the run was killed."""
    try:
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if content and not whole:
            raise ValueError("no whole line")
        lines = [json.loads(line) for line in whole.splitlines()]
        return {line["source"]: line for line in lines if line["status"] in ("done", "failed")}
    except OSError as error:
        raise SoliError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SoliError(f"{path}: not a manifest of separated files; choose another name") from error


def _line(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False).encode() + b"\n"


def _absolute(path: Path) -> str:
    return os.path.abspath(path)
