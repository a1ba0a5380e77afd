"""`worker`, as it is typed."""

from typing import Any

from .command import Command
from .values import seconds

GRACE = 20.0
"""Seconds that the processor has to return."""


def _add(parser: Any) -> None:
    parser.add_argument(
        "buffer",
        metavar="MODULE:BUFFER",
        help="a Queue or a Map, of threads or tasks, as in shop.events:queue",
    )
    parser.add_argument(
        "--grace",
        metavar="SECONDS",
        type=seconds,
        default=GRACE,
        help=f"how long a call of the processor may take to return at the end (default: {GRACE:g})",
    )


WORKER = Command(
    "worker",
    "deliver what is on a server, for good",
    "Deliver what a shared buffer holds on its server, with the processor that the program gives "
    "it, whatever its storage says of deliver. Any number of these may run: they share the "
    "partitions. It runs until SIGTERM or Ctrl-C; then the batch in hand is finished, and the rest "
    "given back. A server that is away is waited for. Exits with 0 when it was told to end, and "
    "nothing was left in the middle.",
    ("worker shop.events:queue --grace 30",),
    _add,
    "server.working",
)
