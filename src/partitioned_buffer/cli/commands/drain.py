"""`drain`, as it is typed."""

from typing import Any

from .command import Command
from .values import add_codec, add_json, from_1


def _add(parser: Any) -> None:
    parser.add_argument("path", metavar="PATH", help="the file of a buffer")
    parser.add_argument(
        "--processor",
        metavar="MODULE:FUNCTION",
        required=True,
        help="what gets the batches, as in shop.events:store",
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=from_1, default=10, help="items a batch (default: 10)"
    )
    parser.add_argument(
        "--map", action="store_true", help="the file is a Map's: the processor gets entries"
    )
    parser.add_argument(
        "--merge",
        metavar="MODULE:FUNCTION",
        help="the Map's merge=, if it has one: without it the last value of a key wins",
    )
    add_json(parser)
    add_codec(parser)


DRAIN = Command(
    "drain",
    "deliver what a file holds",
    "Deliver all that the file of a durable buffer holds, by calling a processor with batches of "
    "it. What fails is tried again, for as long as it takes; Ctrl-C ends that, and leaves the "
    "rest in the file. Exits with 0 when all was delivered, with 1 when something is left or was "
    "given up.",
    (
        "drain events.db --processor shop.events:store --batch-size 500",
        "drain counts.db --processor shop.counts:store --map --merge shop.counts:add",
    ),
    _add,
    "draining",
)
