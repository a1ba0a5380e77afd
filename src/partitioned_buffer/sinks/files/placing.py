"""
Where files go, and what they are called: whole, or not at all, and by the same name at a retry.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from ...abc import BatchId
from ...errors import InvalidOption, Outage
from ..base import expect, expect_seconds, imported

LONGEST = 60
"""Characters that a part of a name may have."""


class Place(Protocol):
    """Takes whole files."""

    def put(self, name: str, data: bytes) -> None:
        """Have a file of that *name*, in place of any other. Raises `Outage`."""


def name_of(batch: BatchId, suffix: str) -> str:
    """Return what the file of a batch is called: sorted by names, those of a partition in order."""
    gaps = f"-{batch.gaps:08x}" if batch.gaps else ""
    return (
        f"{_part(batch.buffer)}-{_part(batch.store)}-{batch.partition:03d}"
        f"-{batch.position:015d}-{batch.size}{gaps}{suffix}"
    )


def _part(text: str) -> str:
    """Return *text* as any file system takes it, and no two of them as the same."""
    plain = quote(text, safe="").replace("~", "%7E").replace(".", "%2E")
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 17]}~{sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def place(where: Any, *, fsync: bool, timeout: float) -> Place:
    """Return the place that a user has named: a folder, a URL, or a store of obstore's."""
    expect_seconds("timeout", timeout)
    if callable(getattr(where, "put", None)) or hasattr(where, "put_async"):
        return Objects(where)
    path = os.fspath(where) if isinstance(where, os.PathLike) else where
    is_text = isinstance(path, str) and path != "" and "\0" not in path
    expect(is_text, "path", where, "a folder, the URL of a bucket, or a store of obstore's")
    if "://" not in path:
        return Folder(Path(path).absolute(), fsync)  # a daemon may change directories
    return Objects(_opened(path, timeout))


class Folder(NamedTuple):
    """A folder, made when the first file comes; what it is in has to be there."""

    path: Path
    fsync: bool

    def put(self, name: str, data: bytes) -> None:
        """Write it beside, and rename it."""
        beside = self.path / f".{name}.{os.getpid()}"
        try:
            self.path.mkdir(exist_ok=True)
            try:
                with beside.open("wb") as file:
                    file.write(data)
                    file.flush()
                    if self.fsync:
                        os.fsync(file.fileno())
                beside.replace(self.path / name)
            except BaseException:
                with suppress(OSError):
                    beside.unlink()
                raise
            if self.fsync:
                sync_folder(self.path)
        except OSError as error:
            raise Outage(f"{self.path / name}: {error.strerror or error}") from error


class Objects(NamedTuple):
    """A store of obstore's, in which a put is whole or not at all."""

    store: Any

    def put(self, name: str, data: bytes) -> None:
        """Put it, in place of any other."""
        obstore = _obstore("an object store")
        try:
            obstore.put(self.store, name, data)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise Outage(f"{name}: {' '.join(str(error).split())[:500]}") from error


def _obstore(what: str) -> Any:
    return imported(what, "objects", "obstore", "obstore.exceptions", "obstore.store")


def _opened(url: str, timeout: float) -> Any:
    limits: Any = {"timeout": f"{timeout}s", "connect_timeout": f"{timeout}s"}
    if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"):
        limits["allow_http"] = True  # options that are given here hide those of the environment
    retries: Any = {"max_retries": 0}  # a buffer tries again
    open_url = _obstore(f"path={url!r}").store.from_url
    try:
        return open_url(url, client_options=limits, retry_config=retries)
    except Exception as error:
        raise InvalidOption(
            f"path={url!r}: expected the URL of a bucket ({' '.join(str(error).split())})"
        ) from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure, where the system lets us."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
