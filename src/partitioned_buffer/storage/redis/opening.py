"""
What is looked at before a buffer is trusted to a server, and what a buffer is made for.

A setting that would lose what was accepted without a word is refused; one that does so only with a
server's death is said in a warning, for its owner may know better.
"""

import re
import secrets
from typing import Any, NamedTuple

from ...abc.sharing import SharedTerms
from ...errors import StorageFull, StorageRefused
from .kinds import Kind
from .naming import Names
from .scripts import Command, call
from .wire.connecting import Address
from .wire.faults import translated
from .wire.servers import Servers

FORMAT = "1"
"""Of keys, chunks and scripts."""

PARTITIONS = 8
"""How many a buffer has unless somebody says."""

_OLDEST = (7, 0)


class Config(NamedTuple):
    """What a buffer was made for, as it is kept at `{name}:config`."""

    id: str
    generation: int
    """Of the layout that records are appended by."""
    work: int
    """Of the earliest layout that holds anything."""
    partitions: dict[int, int]
    """By generation."""
    next: int
    """How many partitions there are about to be; 0: no resize is going on."""


def check(servers: Servers) -> list[str]:
    """Raise `StorageRefused` if a server would lose what is accepted; return warnings."""
    info = servers.open()
    warnings: list[str] = []
    for address in servers.primaries:
        about = info if address == servers.seed else servers.info(address, opening=True)
        check_one(address, about)
        warnings += without_file(address, about)
    if servers.is_cluster:
        warnings += covers_all_or_nothing(servers)
    return warnings


def without_file(address: Address, info: dict[str, str]) -> list[str]:
    """Return a warning if a server keeps what it has in memory alone."""
    if info.get("aof_enabled") == "1":
        return []
    return [
        f"{address} has no append-only file (appendonly is no): a restart loses what waits there"
    ]


def check_one(address: Address, info: dict[str, str]) -> None:
    """Raise `StorageRefused` if a server would lose what is accepted."""
    version = info.get("redis_version", "0")
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST:
        raise StorageRefused(f"{address} is of version {version}: expected 7.0 or later")
    if info.get("role") != "master":
        raise StorageRefused(f"{address} is a {info.get('role')}: expected a primary")
    if (policy := info.get("maxmemory_policy")) != "noeviction":
        raise StorageRefused(
            f"{address}: maxmemory-policy is {policy}, which would throw away what was accepted: "
            "expected noeviction"
        )


def covers_all_or_nothing(servers: Servers) -> list[str]:
    """Return a warning if a cluster is away as soon as a part of it is."""
    setting = ("CONFIG", "GET", "cluster-require-full-coverage")
    (reply,) = servers.run("rest", servers.primaries[0], [setting])
    # Who may not ask is not told.
    if isinstance(reply, Exception) or list(reply[1:]) != [b"yes"]:
        return []
    said = "when one shard is away, the others take nothing either"
    return [f"{servers.where}: cluster-require-full-coverage is yes: {said}"]


def try_out(servers: Servers, names: Names, kind: Kind) -> None:
    """
    Raise `StorageRefused` if this user may not do all that there is to do.

    A script that may not do one thing has done those before: some could come twice, say.
    """
    of = names.of(-1, secrets.randbits(32))  # no partition's
    meta, dead, lease = of.meta, of.dead, of.lease
    claim = call("claim", [lease, meta], "", 9999)
    value = f"{_tried(servers, of.w, claim, *kind.appends(of))[0]}|"
    _tried(
        servers,
        of.w,
        *kind.steps(of, value),
        *kind.questions(of),
        call("bury", [lease, meta, dead], value, 1, bytes(12), "?"),
        call("forget", [dead, meta], 1),
        call("seal", [meta], 0),
        call("release", [lease], value, *"??"),
    )
    _tried(servers, of.w, ("DEL", *of))
    _tried(servers, names.workers, call("beat", [names.workers], "", 0, *"??"))
    _tried(servers, names.config, ("PUBLISH", names.news, "?"))


def _tried(servers: Servers, key: str, *commands: Command) -> list[Any]:
    address = servers.of(key)
    replies = servers.run("rest", address, commands, opening=True)
    for reply in replies:
        if isinstance(reply, Exception):
            error = translated(str(address), reply, opening=True)
            if not isinstance(error, StorageFull):  # who empties it has to come in
                raise error
    return replies


def pin(servers: Servers, names: Names, terms: SharedTerms, codec: str) -> dict[str, str]:
    """Make the buffer for *terms*, unless it is there; raise `StorageRefused` if it differs."""
    want = {"format": FORMAT, "kind": terms.kind, "codec": codec}
    first = {
        **want,
        "id": secrets.token_hex(8),
        "generation": "0",
        "work": "0",
        "partitions:0": str(terms.partitions or PARTITIONS),
    }
    have = fields(servers, names, first)
    differ = [(each, have[each], want[each]) for each in want if have[each] != want[each]]
    config = read(have)
    there = config.next or config.partitions[config.generation]
    if terms.partitions is not None and terms.partitions != there:
        differ.append(("partitions", str(there), str(terms.partitions)))
    if differ:
        texts = "; ".join(
            f"{each} is {there!r} there, {here!r} here" for each, there, here in differ
        )
        raise StorageRefused(f"{servers.where}: buffer {terms.name!r} was made otherwise: {texts}")
    return have


def fields(servers: Servers, names: Names, unless: dict[str, str] | None = None) -> dict[str, str]:
    """Return the config, with the fields *unless* they were there before."""
    pairs = [each for pair in (unless or {}).items() for each in pair]
    flat = [
        each.decode()
        for each in servers.call("rest", names.config, call("pin", [names.config], *pairs))
    ]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def read(have: dict[str, str]) -> Config:
    """Return what the fields of a config say."""
    return Config(
        have["id"],
        int(have["generation"]),
        int(have["work"]),
        {
            int(name.removeprefix("partitions:")): int(value)
            for name, value in have.items()
            if name.startswith("partitions:")
        },
        int(have.get("next") or 0),
    )
