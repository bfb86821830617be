"""`soli doctor`: what works here, found out by trying it."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from soli import __version__
from soli.cli.options import JSON, MODEL
from soli.cli.terminal import print_json
from soli.errors import SoliError

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = ("torch", "numpy", "soundfile", "soxr", "av", "safetensors", "accelerate", "symusic", "stempeg")
PROBE_RATE, PROBE_SECONDS = 48000, 0.25


def doctor(model: MODEL = "default", as_json: JSON = False) -> None:
    """Check versions, codecs, devices and memory."""
    findings = {"versions": _versions(), "codecs": _codecs(), "devices": _devices(), "memory": _memory(model)}
    if as_json:
        print_json(findings)
    else:
        _show(findings)
    broken = [name for name, state in findings["codecs"].items() if state != "ok"]
    if broken:
        raise SoliError(f"codecs that do not work here: {', '.join(broken)}; the other checks are listed on stdout")


def _versions() -> dict[str, str | None]:
    """Versions of what matters; None for an optional package that is not installed."""
    import av
    import soundfile

    versions: dict[str, str | None] = {"soli": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    versions["libsndfile"] = soundfile.__libsndfile_version__
    versions["libavcodec"] = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return versions | {"platform": platform.platform()}


def _codecs() -> dict[str, str]:
    """Write and read back a short tone in every format; "ok" or what went wrong."""
    import torch

    from soli.audio import FORMATS

    tone = 0.5 * torch.sin(torch.arange(round(PROBE_RATE * PROBE_SECONDS)) * 0.05).expand(2, -1)
    with TemporaryDirectory() as folder:
        states = {kind: _probe(Path(folder) / f"tone.{kind}", tone) for kind in FORMATS}
        return states | {"m4a (read only)": _probe(Path(folder) / "tone.m4a", tone)}


def _probe(path: Path, tone: Tensor) -> str:
    """Try one format; the tone must come back with its length and its level."""
    from soli.audio import AudioWriter, read

    try:
        if path.suffix == ".m4a":
            _write_aac(path, tone)
        else:
            with AudioWriter(path, PROBE_RATE, tone.shape[0]) as writer:
                writer.write(tone)
        heard, rate = read(path)
    except (SoliError, OSError) as error:
        return " ".join(str(error).split())
    shortfall = tone.shape[-1] - heard.shape[-1]
    level = float(heard.square().mean().sqrt() / tone.square().mean().sqrt())
    if rate != PROBE_RATE or shortfall > 0 or not 0.8 < level < 1.25:
        return f"read back at {rate} Hz, {shortfall} samples short, {level:.2f} times as loud"
    return "ok"


def _write_aac(path: Path, tone: Tensor) -> None:
    """Write a test file that only PyAV can read."""
    import av
    import numpy as np

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=PROBE_RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone.numpy()), format="fltp", layout="stereo")
        frame.sample_rate = PROBE_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def _devices() -> list[dict[str, Any]]:
    """Devices by name, best first."""
    import torch

    from soli.devices import available_devices

    found: list[dict[str, Any]] = []
    for name in available_devices():
        if name.startswith("cuda"):
            properties = torch.cuda.get_device_properties(name)
            found.append({"name": name, "model": properties.name, "memory_bytes": properties.total_memory})
        elif name == "cpu":
            found.append({"name": name, "model": platform.machine(), "threads": torch.get_num_threads()})
        else:
            found.append({"name": name, "model": platform.processor() or platform.machine()})
    return found


def _memory(model: str) -> dict[str, Any]:
    """Separate a short file for real and see what it took.

    Memory does not grow with the length of a recording, so three segments tell what hours need.
    """
    import torch

    from soli.audio import AudioWriter
    from soli.files import separate_file
    from soli.zoo import available, load

    plan: dict[str, Any] = {"model": model, "available_bytes": _available_memory()}
    if model == "default" and model not in available():
        return plan | {"note": "no model is bundled with this copy of soli"}
    separator = load(model)
    rate, seconds = separator.sample_rate, 3 * separator.segment_seconds
    with TemporaryDirectory() as folder:
        source = Path(folder) / "noise.wav"
        with AudioWriter(source, rate, 2) as writer:
            generator = torch.Generator().manual_seed(0)
            writer.write(0.1 * torch.randn(2, round(seconds * rate), generator=generator).clamp(-3, 3))
        began = time.perf_counter()
        separate_file(source, Path(folder) / "stems", model=separator)
        elapsed = time.perf_counter() - began
    return plan | {
        "segment_seconds": separator.segment_seconds,
        "peak_bytes": _peak_memory(),
        "real_time_factor": elapsed / seconds,
    }


def _peak_memory() -> int | None:
    """Largest memory this process has used, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _available_memory() -> int | None:
    """Memory a new program may use without swapping, in bytes; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _show(findings: dict[str, Any]) -> None:
    """Print the findings for people."""
    from rich.console import Console
    from rich.table import Table

    for title in ("versions", "codecs"):
        table = Table(title, "", box=None)
        for name, state in findings[title].items():
            table.add_row(name, state or "not installed")
        Console().print(table, "")
    table = Table("devices", "", "", box=None)
    for device in findings["devices"]:
        extra = f"{device['threads']} threads" if "threads" in device else _size(device.get("memory_bytes"))
        table.add_row(device["name"], device["model"], extra)
    Console().print(table, "")
    typer.echo(_advice(findings["memory"]))


def _advice(plan: dict[str, Any]) -> str:
    """The memory plan in one line."""
    if "note" in plan:
        return f"memory: {_size(plan['available_bytes'])} available; {plan['note']}"
    peak, free = plan["peak_bytes"], plan["available_bytes"]
    verdict = ""
    if peak and free:
        verdict = (
            "; enough for any length" if peak < free else "; too little: close other programs or use a smaller model"
        )
    return (
        f"memory: {plan['model']} took {_size(peak)} at most, in segments of {plan['segment_seconds']:g} s, "
        f"with a real-time factor of {plan['real_time_factor']:.3f}; {_size(free)} available{verdict}"
    )


def _size(n_bytes: int | None) -> str:
    """Bytes for people."""
    return "an unknown amount" if n_bytes is None else f"{n_bytes / 2**30:.1f} GiB"
