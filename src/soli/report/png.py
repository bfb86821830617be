"""A PNG writer for images with a palette, small enough to read at a glance (PNG specification, 3rd edition)."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray


def encode_png(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Encode an image.

    Args:
        indices: which colour each pixel has, `[height width]`, top row first.
        palette: `[colours 4]` red, green, blue, alpha, at most 256 colours.

    Returns:
        The bytes of a PNG file.
    """
    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits per pixel, colour type 3: palette
    rows = np.pad(indices, ((0, 0), (1, 0)))  # every row starts with its filter type, 0: none
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette[:, :3].tobytes()),
            _chunk(b"tRNS", palette[:, 3].tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def png_uri(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> str:
    """Encode an image as the `src` of an `<img>`; arguments as in `encode_png`."""
    return "data:image/png;base64," + b64encode(encode_png(indices, palette)).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
