"""`top`, as it is typed."""

import argparse
from typing import Any

from .command import Command
from .values import seconds

EVERY = 2.0
"""Seconds from one look to the next."""
LEAST, MOST = 0.1, 86_400.0


def _every(text: str) -> float:
    number = seconds(text)
    if not LEAST <= number <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {LEAST:g} to {MOST:,g} seconds")
    return number


def _add(parser: Any) -> None:
    parser.add_argument(
        "url", metavar="URL", help="where the page of the process is, http://HOST:PORT/PATH"
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help="what the page asks for, if it does; else the variable PARTITIONED_BUFFER_TOKEN, "
        "which nobody sees who lists processes",
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=_every,
        default=EVERY,
        help=f"from one look to the next (default: {EVERY:g})",
    )
    parser.add_argument("--once", action="store_true", help="look once, print that, and exit")
    parser.add_argument(
        "--json", action="store_true", help="print what the page says, an object in each line"
    )


TOP = Command(
    "top",
    "watch the buffers of a running process",
    "Watch the buffers of a running process, whose page is mounted or served at a URL: how each "
    "does in a word, the worst first; what comes in and goes out, what waits and for how long, how "
    "long the processor takes, what fails and what was given up. Exits with 2 if the page does not "
    "answer at first; one that goes away later is asked again until it is back. Ends with q or "
    "Ctrl-C.",
    (
        "top http://127.0.0.1:8000/buffers",
        "top http://127.0.0.1:8000/buffers --once --json",
    ),
    _add,
    "live.watching",
)
