"""`replay`, as it is typed."""

from typing import Any

from .command import Command
from .values import add_codec, add_json, add_place, from_1


def _add(parser: Any) -> None:
    add_place(parser, also="a dead letter file, ")
    parser.add_argument(
        "--into",
        metavar="MODULE:BUFFER",
        required=True,
        help="the buffer that gets it, as in shop.events:queue",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=from_1,
        help="stop after so many items, or the few more that were given up together with them",
    )
    add_json(parser)
    add_codec(parser)


REPLAY = Command(
    "replay",
    "give back what was given up",
    "Give what was given up, and is kept in the file of a durable buffer, in a dead letter file or "
    "on a server, back into a buffer of the program: to that very one, or another. It is started "
    "if it does not run. Each is forgotten when it is settled (of a shared buffer: when its server "
    "has it), so who ends this in the middle goes on with the next replay; what is given up again "
    "is kept again. Exits with 0 when all was given back, else with 1.",
    (
        "replay events.db --into shop.events:queue",
        "replay dead.jsonl --into shop.events:queue",
        "replay redis://10.0.0.5 events --into shop.events:queue --limit 100",
    ),
    _add,
    "replaying",
)
