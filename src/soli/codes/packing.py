"""Codes as bits: ceil(log2 V) for each, the most significant first, with zeros up to a whole byte."""

from __future__ import annotations

import numpy as np

_CHUNK = 65536  # codes; a multiple of 8, so that every chunk is whole bytes


def code_bits(codebook_size: int) -> int:
    """Bits that a code of V values takes."""
    return (codebook_size - 1).bit_length()


def packed_size(n_codes: int, bits: int) -> int:
    """Bytes that so many codes take."""
    return -(-n_codes * bits // 8)


def pack(codes: np.ndarray, bits: int) -> bytes:
    """Write codes as bits.

    Args:
        codes: int64 `[M]`, each below 2^bits.
        bits: of each.

    Returns:
        `packed_size(M, bits)` bytes.
    """
    shifts = np.arange(bits)[::-1]
    chunks = (codes[start : start + _CHUNK, None] >> shifts & 1 for start in range(0, len(codes), _CHUNK))
    return b"".join(np.packbits(chunk.astype(np.uint8)).tobytes() for chunk in chunks)


def unpack(content: bytes, n_codes: int, bits: int) -> np.ndarray:
    """Inverse of `pack`.

    Args:
        content: `packed_size(n_codes, bits)` bytes.
        n_codes: M.
        bits: of each.

    Returns:
        int64 `[M]`.
    """
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)[::-1]
    codes = np.empty(n_codes, dtype=np.int64)
    values = np.frombuffer(content, dtype=np.uint8)
    for start in range(0, n_codes, _CHUNK):
        chunk = codes[start : start + _CHUNK]
        first = start * bits // 8
        some = values[first : first + packed_size(len(chunk), bits)]
        chunk[:] = np.unpackbits(some, count=len(chunk) * bits).reshape(-1, bits) @ weights
    return codes
