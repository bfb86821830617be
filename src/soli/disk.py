"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from soli.errors import SoliError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file or leave the old one as it is: temporary name, flushed to disk, renamed.

    Args:
        path: of the file; its folder is made if need be.
        content: all of it.

    Raises:
        SoliError: when it cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # temporary files are private to their owner, models are not
        temporary.replace(path)
    except OSError as error:
        raise SoliError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
