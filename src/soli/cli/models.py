"""`soli models`: what can be loaded by name."""

from __future__ import annotations

from dataclasses import asdict

from soli.cli.options import JSON
from soli.cli.terminal import print_json


def models(as_json: JSON = False) -> None:
    """List the bundled models."""
    from soli.zoo import available

    found = available()
    if as_json:
        print_json([asdict(info) for info in found.values()])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what it is", box=None, padding=(0, 3, 1, 0))
    for info in found.values():
        facts = [
            f"{info.system}, {info.preset} preset",
            f"{info.sample_rate} Hz",
            f"{info.n_parameters / 1e6:.2f} M parameters",
            f"{info.bytes / 1e6:.1f} MB",
            info.licence,
        ]
        table.add_row(info.name, f"{info.summary}\n{', '.join(info.sources)}\n{' · '.join(facts)}")
    Console(highlight=False).print(table)
