"""What is risky about a server, for who looks at it: as a buffer would refuse, or warn of it."""

from ...errors import StorageRefused
from .opening import check_one, covers_all_or_nothing, without_file
from .wire.connecting import Address
from .wire.servers import Servers

_MUCH = 0.8
"""The part of its memory in use, from which on a server is at risk."""


def risks(servers: Servers) -> list[str]:
    """Return all of it, in sentences."""
    found: list[str] = []
    for address in servers.primaries:
        about = servers.info(address)
        try:
            check_one(address, about)
        except StorageRefused as error:
            found.append(str(error))
        found += [*without_file(address, about), *_of_writing(address, about)]
        found += _of_memory(address, about)
    if servers.is_cluster:
        found += covers_all_or_nothing(servers)
    return found


def _of_writing(address: Address, about: dict[str, str]) -> list[str]:
    failed = [
        what
        for what in ("aof_last_write_status", "rdb_last_bgsave_status")
        if about.get(what, "ok") != "ok"
    ]
    return [f"{address}: {what} is {about[what]}: look at its disk" for what in failed]


def _of_memory(address: Address, about: dict[str, str]) -> list[str]:
    used, most = int(about.get("used_memory", "0")), int(about.get("maxmemory", "0"))
    if not most or used < _MUCH * most:
        return []
    then = "when there is no more, writes wait in the processes that make them"
    return [f"{address} uses {used:,} bytes of the {most:,} that its maxmemory allows: {then}"]
