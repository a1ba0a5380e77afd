"""Folders that files are written to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """Have a file stand where *folder* is, or would be."""
    aside = folder.with_name("aside")
    if is_there := folder.exists():
        folder.rename(aside)
    folder.touch()
    yield
    folder.unlink()
    if is_there:
        aside.rename(folder)
