"""
What statements have in common, and the options that they are made of, whatever the database.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from .base import expect


def quoted(name: str) -> str:
    """Return *name* as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    """Return *names*, quoted, one after the other."""
    return ", ".join(map(quoted, names))


def on_conflict(columns: Sequence[str], key: Sequence[str], version: str | None, there: str) -> str:
    """Return what an INSERT does with a row whose *key* is *there*, the table as SQL calls it."""
    others = [quoted(name) for name in columns if name not in key]
    conflict = f" ON CONFLICT ({listed(key)}) DO "
    if not others:
        return f"{conflict}NOTHING"
    conflict += f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}"
    if version is None:
        return conflict
    new, old = f"excluded.{quoted(version)}", f"{there}.{quoted(version)}"
    return f"{conflict} WHERE {new} >= {old} OR {old} IS NULL"


def expect_key(columns: tuple[str, ...], key: Any, version: Any) -> None:
    """Raise `InvalidOption` unless *key* is some of the *columns*, and *version* one beside it."""
    is_key = isinstance(key, Sequence) and not isinstance(key, str)
    expect(
        is_key and set(key) <= set(columns), "key", key, f"some of the columns {columns}, in a list"
    )
    is_version = version in columns and version not in key and len(key) > 0
    words = f"None, or one of the columns {columns} beside a key"
    expect(version is None or is_version, "version", version, words)
