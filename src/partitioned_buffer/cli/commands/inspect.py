"""`inspect`, as it is typed."""

from typing import Any

from .command import Command
from .values import add_json, add_place, from_0


def _add(parser: Any) -> None:
    add_place(parser, name="without it, all buffers on the server are listed")
    add_json(parser)
    parser.add_argument(
        "--items",
        metavar="N",
        type=from_0,
        default=5,
        help="how many of the first items, or of the entries, to show (default: 5)",
    )


INSPECT = Command(
    "inspect",
    "show what is in a file, or on a server",
    "Show what is in the file of a durable buffer: what it was made for, how much each partition "
    "holds, what was given up or is damaged, and the first items. Nothing of it is changed; it "
    "has to be stopped, for a file that is in use is refused. Of a server, which may be in use, "
    "show which buffers are there; or how it is with one of them, and who delivers it.",
    (
        "inspect events.db",
        "inspect redis://10.0.0.5",
        "inspect redis://10.0.0.5 events --items 20 --json",
    ),
    _add,
    "inspecting",
)
