"""What a command is; what does it is imported when it is asked for."""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Command(NamedTuple):
    """Something that can be typed."""

    name: str
    brief: str
    """What it is for, in the list of all."""
    about: str
    """What it does, and what it exits with."""
    examples: tuple[str, ...]
    """Lines that can be typed."""
    add: Callable[[Any], None]
    """Adds its options to a parser."""
    home: str
    """The module of `cli` whose `run()` does it, and returns the exit code."""

    def add_to(self, commands: Any) -> None:
        """Add the command to those of the parser."""
        lines = [f"  partitioned-buffer {each}" for each in self.examples]
        parser = commands.add_parser(
            self.name,
            help=self.brief,
            description=self.about,
            epilog="\n".join(["Example:" if len(lines) == 1 else "Examples:", *lines]),
            formatter_class=Help,
        )
        self.add(parser)
        parser.set_defaults(run=self.run)

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; return the exit code."""
        run: Callable[[argparse.Namespace], int] = import_module(f"..{self.home}", __package__).run
        return run(arguments)


class Help(argparse.HelpFormatter):
    """Fills paragraphs, and leaves lines that begin with a space as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        filled = [
            line if line.startswith(" ") else super(Help, self)._fill_text(line, width, indent)
            for line in lines
        ]
        return "\n".join(filled)
