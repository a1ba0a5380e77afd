"""`resize`, as it is typed."""

from typing import Any

from .command import Command
from .values import URL, add_json, from_1


def _add(parser: Any) -> None:
    parser.add_argument("url", metavar="URL", help=URL)
    parser.add_argument("name", metavar="NAME", help="the name of the buffer")
    parser.add_argument(
        "--partitions", metavar="N", type=from_1, required=True, help="how many it is to have"
    )
    add_json(parser)


RESIZE = Command(
    "resize",
    "give a buffer on a server other partitions",
    "Give a buffer on a server another number of partitions, while its programs run. Nothing is "
    "lost or delivered twice, and the items of a key stay in order: workers deliver what the old "
    "partitions of a Queue hold first. What those of a Map hold is moved at once: this takes that "
    "nobody delivers, and programs that only write may run. Ended in the middle, it goes on by "
    "itself as soon as any program of the buffer looks at it.",
    ("resize redis://10.0.0.5 events --partitions 12",),
    _add,
    "server.resizing",
)
