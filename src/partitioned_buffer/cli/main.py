"""
What is typed: the commands, their exit codes, and what an error becomes.

0: done. 1: not all was delivered. 2: refused, and said why on stderr. 130: Ctrl-C.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ..errors import PartitionedBufferError
from . import draining, inspecting, replaying

_ABOUT = "Look into the file of a durable buffer, and deliver what is in it."
_EPILOG = (
    "A file that a running program has is refused: stop that first. `COMMAND --help` says more."
)


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
    parser = argparse.ArgumentParser("partitioned-buffer", description=_ABOUT, epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (inspecting, draining, replaying):
        command.add(commands)
    return parser
