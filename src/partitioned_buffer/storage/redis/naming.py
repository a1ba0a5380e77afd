"""
What the keys of a buffer are called. Those of one partition and generation share a hash tag, so a
cluster keeps them in one slot, where one script reaches them.

    {name}:config               what it was made for, and its layouts
    {name}:workers              who works on it
    {name}:news                 a channel: the number of a partition that is not empty any more,
                                or one of the words below
    {name:generation:partition}:w, :meta, :lease, :dead, :d:<producer>; of a Queue :at; of a Map
    :r, :v0, :v1, :gone
"""

from functools import lru_cache
from typing import NamedTuple

_ESCAPED = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})
"""What ends a hash tag must not be in one."""

_PLAIN = (("%7B", "{"), ("%7D", "}"), ("%25", "%"))

HURRY = b"hurry"
"""What is said in the channel when somebody waits for a flush."""

FREE = b"free"
"""... when a partition is free, or a worker has come or gone."""


_PARTS = "w", "at", "r", "v0", "v1", "gone", "meta", "lease", "dead", "d:"


class Part(NamedTuple):
    """The keys of a partition in a generation."""

    w: str
    """Of a Queue, a list: data of each chunk. Of a Map, a hash: the record of each key."""
    at: str
    """Of a Queue, a list: when each chunk came, and how many records it has."""
    r: str
    """Of a Map, a hash: what is in flight."""
    v0: str
    """Of a Map, a hash: version and hash of each key that was delivered lately."""
    v1: str
    """Likewise, before that."""
    gone: str
    """Of a Map, a set: keys of what was in flight that were deleted meanwhile."""
    meta: str
    """
    A hash: token, told, sealed, dead, kept, buried, letter; of a Queue end, pos, base; of a Map
    accepted, coalesced, deleted, waiting, flying, swap, since, began,
    whole.
    """
    lease: str
    """`token|worker`, as long as it has an owner."""
    dead: str
    """A hash: what was given up."""
    d: str
    """What `d_of()` begins with."""

    def d_of(self, producer: str) -> str:
        """Return the key that says what is there of *producer*."""
        return self.d + producer


def plain(text: str) -> str:
    """Return *text* without what UTF-8 has no bytes for."""
    return text.encode(errors="backslashreplace").decode()


class Names:
    """The keys of the buffer *name*."""

    def __init__(self, name: str) -> None:
        self._name = name = plain(name).translate(_ESCAPED)
        self.config, self.workers = f"{{{name}}}:config", f"{{{name}}}:workers"
        self.news = f"{{{name}}}:news"
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, generation: int, partition: int) -> Part:
        tag = f"{{{self._name}:{generation}:{partition}}}"
        return Part(*(f"{tag}:{each}" for each in _PARTS))


def name_of(config: str) -> str | None:
    """Return the name of the buffer whose config has this key; None: it is no buffer's."""
    name = config.removeprefix("{").removesuffix("}:config")
    for escaped, plain in _PLAIN:
        name = name.replace(escaped, plain)
    return name if Names(name).config == config else None
