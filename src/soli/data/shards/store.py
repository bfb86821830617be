"""A folder on a disk or in a store, by any URL that fsspec knows."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from soli.errors import SoliError


class Store:
    """One folder.

    Args:
        url: a path, or such as "s3://bucket/folder".

    Raises:
        SoliError: for a kind of store that is unknown, or whose package is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise SoliError("shards need fsspec: pip install 'soli[shards]'") from error
        self.url = url.rstrip("/")
        try:
            self._system, self._root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise SoliError(f"{url}: this store cannot be used: {error}") from error

    def names(self) -> list[str]:
        """What lies in the folder, in order; nothing where there is no such folder.

        Returns:
            Names without the folder.

        Raises:
            SoliError: when the store does not answer.
        """
        try:
            self._system.invalidate_cache()
            found = self._system.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failure("", "read", error) from error
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file.

        Args:
            name: in the folder.

        Yields:
            The file, which can seek.

        Raises:
            SoliError: when it cannot be read.
        """
        try:
            with self._system.open(f"{self._root}/{name}", "rb") as file:
                yield file
        except OSError as error:
            raise self._failure(name, "read", error) from error

    @contextmanager
    def writing(self, name: str) -> Iterator[HashingFile]:
        """Write a file under a temporary name; it gets its own at a clean end, and is dropped after an exception.

        Args:
            name: in the folder, which is made if missing.

        Yields:
            What to write to.

        Raises:
            SoliError: when it cannot be written.
        """
        temporary = f"{self._root}/.{name}.{secrets.token_hex(4)}.part"
        try:
            self._system.makedirs(self._root, exist_ok=True)
            try:
                with self._system.open(temporary, "wb") as file:
                    yield HashingFile(file)
                self._system.mv(temporary, f"{self._root}/{name}")
            except BaseException:
                with suppress(OSError):
                    self._system.rm(temporary)
                raise
        except OSError as error:
            raise self._failure(name, "written", error) from error

    def remove(self, name: str) -> None:
        """Delete a file.

        Args:
            name: in the folder.

        Raises:
            SoliError: when it cannot be deleted.
        """
        try:
            self._system.rm(f"{self._root}/{name}")
        except OSError as error:
            raise self._failure(name, "deleted", error) from error

    def read_json(self, name: str) -> Any:
        """Read a JSON file.

        Args:
            name: in the folder.

        Returns:
            Its content.

        Raises:
            SoliError: when it cannot be read or is none.
        """
        with self.reading(name) as file:
            try:
                return json.load(file)
            except ValueError as error:
                raise SoliError(f"{self.url}/{name}: not JSON: {error}") from error

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file, whole or not at all.

        Args:
            name: in the folder.
            content: for it.

        Raises:
            SoliError: when it cannot be written.
        """
        with self.writing(name) as file:
            file.write(json.dumps(content, indent=1).encode())

    def _failure(self, name: str, deed: str, error: OSError) -> SoliError:
        return SoliError(f"{self.url}/{name}".rstrip("/") + f": cannot be {deed}: {error.strerror or error}")


class HashingFile:
    """A file that knows the hash of what was written to it.

    Args:
        file: where it goes.

    Attributes:
        n_bytes: written so far.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.n_bytes = 0

    def write(self, data: bytes) -> int:
        """Append.

        Args:
            data: what to append.

        Returns:
            How many bytes that were.
        """
        self._file.write(data)
        self._hash.update(data)
        self.n_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Where the next byte goes."""
        return self.n_bytes

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._hash.hexdigest()
