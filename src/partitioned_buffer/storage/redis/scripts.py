"""
The scripts that run on the server: what one of them does is done whole, or not at all.

A server forgets scripts when it restarts, and a replica may never have had them. So each is called
by its hash, and loaded where a server says that it does not know it.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha1
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError

Command = Sequence[Any]
"""The words of a command, or a `Whole`."""


class Whole(tuple[Command, ...]):
    """Commands that are done together, by a transaction: the reply is that of the last."""

    __slots__ = ()


NAMES = (
    "append", "beat", "bury", "claim", "forget", "last", "map_append", "map_deal", "map_get",
    "map_leave", "map_open", "map_step", "pin", "release", "seal", "step", "turn",
)  # fmt: skip


def _read(name: str) -> bytes:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_bytes()


SOURCES = {name: _read(name) for name in NAMES}

_HASHES = {
    name: sha1(source, usedforsecurity=False).hexdigest() for name, source in SOURCES.items()
}
_OF_HASH = {of: SOURCES[name] for name, of in _HASHES.items()}


def call(name: str, keys: Sequence[str], *args: Any) -> Command:
    """Return the command that runs the script *name*."""
    return ("EVALSHA", _HASHES[name], len(keys), *keys, *args)


def unknown(commands: Sequence[Command], replies: Sequence[Any]) -> int | None:
    """Return the place of the first of *commands* whose script the server did not know."""
    for place, reply in enumerate(replies):
        if isinstance(reply, NoScriptError) and any(_hashes_of(commands[place])):
            return place
    return None


def loading(commands: Sequence[Command]) -> list[Command]:
    """Return commands that load the scripts of *commands*."""
    hashes = {each for command in commands for each in _hashes_of(command)}
    return [("SCRIPT", "LOAD", _OF_HASH[each]) for each in hashes]


def words(command: Command) -> Iterator[Command]:
    """Yield what is sent for a command."""
    if isinstance(command, Whole):
        yield from (("MULTI",), *command, ("EXEC",))
    else:
        yield command


def _hashes_of(command: Command) -> Iterator[str]:
    """Yield the hashes of the scripts that a command runs."""
    return (each[1] for each in words(command) if each[0] == "EVALSHA")
