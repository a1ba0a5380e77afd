"""
What is typed: the commands, their exit codes, and what an error becomes.

0: done. 1: not all was delivered. 2: refused, and said why on stderr. 130: Ctrl-C. 143: SIGTERM,
twice. (`_EPILOG` and docs/command-line.md say so, too.)
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ..errors import PartitionedBufferError
from .commands.command import Help
from .commands.drain import DRAIN
from .commands.inspect import INSPECT
from .commands.page import PAGE
from .commands.replay import REPLAY
from .commands.resize import RESIZE
from .commands.top import TOP
from .commands.worker import WORKER

COMMANDS = (INSPECT, DRAIN, REPLAY, WORKER, RESIZE, TOP, PAGE)
_ABOUT = (
    "Look into the file of a durable buffer, at a server, or at the buffers of a running process; "
    "deliver what is there; show buffers in a browser."
)
_EPILOG = """\
A file that a running program has is refused: stop that first. `COMMAND --help` says more.

Exits with 0: done; 1: not all was delivered; 2: refused, and said why on stderr; \
130: Ctrl-C; 143: a second SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is said on the command line, and exit."""
    try:
        code = _done(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # who read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _done(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except PartitionedBufferError as error:
        sys.stderr.write(f"partitioned-buffer {given.command}: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "partitioned-buffer", description=_ABOUT, epilog=_EPILOG, formatter_class=Help
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser
