"""Where the arithmetic runs: the names a user may give, and what this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soli.errors import SoliError

if TYPE_CHECKING:
    import torch


def available_devices() -> list[str]:
    """List the devices of this machine, best first; `cpu` is always the last one."""
    import torch

    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def resolve_device(name: str | torch.device) -> torch.device:
    """Turn a device name into a device that exists here.

    Args:
        name: `cpu`, `cuda`, `cuda:N`, `mps`, or `auto` for the best one.

    Returns:
        The device.

    Raises:
        SoliError: for a name that is unknown or a device this machine does not have.
    """
    import torch

    found = available_devices()
    if str(name) == "auto":
        return torch.device(found[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SoliError(f"unknown device {str(name)!r}; available here: auto, {', '.join(found)}") from error
    if device.type not in {entry.partition(":")[0] for entry in found} or (device.index and str(device) not in found):
        raise SoliError(f"device {str(name)!r} is not on this machine; available here: auto, {', '.join(found)}")
    return device
