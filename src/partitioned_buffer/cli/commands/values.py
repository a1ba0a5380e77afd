"""What several commands take, and what of it is refused while it is read."""

import argparse
import math
from contextlib import suppress
from typing import Any

URL = "redis://HOST:PORT/DB, rediss://... (TLS), or unix:///PATH"


def add_place(parser: Any, *, name: str = "needed with a URL", also: str = "") -> None:
    """Add what says where the buffer is."""
    what = f"the file of a buffer, {also}or {URL}"
    parser.add_argument("path", metavar="PATH|URL", help=what)
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help=f"the name of the buffer on that server; {name}"
    )


def add_codec(parser: Any) -> None:
    """Add what says how to read items."""
    parser.add_argument(
        "--codec",
        metavar="MODULE:NAME",
        help="the type, or the pair of functions, that reads the items, if it is not where the "
        "file says",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read pickles, which run whatever they say: only if you trust who wrote the file",
    )


def add_json(parser: Any) -> None:
    """Add what asks for JSON."""
    parser.add_argument("--json", action="store_true", help="print one object of JSON")


def from_0(text: str) -> int:
    """Return the number that was typed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0")
    return int(text)


def from_1(text: str) -> int:
    """Return the number that was typed."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """Return the seconds that were typed."""
    with suppress(ValueError):
        if 0 <= (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number of seconds from 0")
