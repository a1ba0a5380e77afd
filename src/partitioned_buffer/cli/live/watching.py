"""`top`: the buffers of a running process, look by look."""

import argparse
import os
import sys

from ..commands.page import TOKEN
from .asking import NoAnswer, Source
from .screens import Json, Lines, Screen


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    token = arguments.token or os.environ.get(TOKEN) or None
    source = Source(arguments.url, token)
    said = source.look()  # who is not there at first is not waited for
    with _screen(arguments) as screen:
        screen.show(said)
        while not arguments.once and not screen.wait(arguments.every):
            try:
                screen.show(source.look())
            except NoAnswer as error:
                screen.gone(str(error))
    return 0


def _screen(arguments: argparse.Namespace) -> Screen:
    if arguments.json:
        return Json()
    if arguments.once or not sys.stdout.isatty():
        return Lines()
    try:
        from .drawing import Drawn  # noqa: PLC0415  # only if rich is there
    except ImportError:
        return Lines()
    return Drawn(arguments.every)
