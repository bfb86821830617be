"""Where the arithmetic runs: the names a user may give, and what this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from soli.errors import SoliError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "bf16", "no"]
"""What a recipe may ask for."""


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


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of matrices in bfloat16 are faster on a device than in single precision.

    Args:
        device: of this machine.

    Returns:
        On a processor, whether it has instructions for them: without, they take several times as long.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def resolve_precision(name: Precision, device: torch.device) -> Literal["bf16", "no"]:
    """Turn the precision that a recipe asks for into the one that is used.

    Args:
        name: `auto` is `bf16` where that is faster.
        device: of this machine.

    Returns:
        `bf16`, or `no` for single precision.
    """
    return ("bf16" if multiplies_bfloat16(device) else "no") if name == "auto" else name
