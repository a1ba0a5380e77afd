"""`page`: shows the buffers of a module in a browser, until it is told to end."""

import argparse
import copy
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ... import Map, Queue, running
from ..._core.buffer.base import Buffer
from ...errors import InvalidOption, StorageError
from ..commands.page import TOKEN
from ..names import module, typed
from ..server.signals import Asked, heard

AGAIN = 2.0
"""Seconds from one attempt to reach a server to the next."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    from ...dashboard import serve  # noqa: PLC0415  # takes as long as the rest

    named = [buffer for name in arguments.buffers for buffer in _named(name)]
    looks = _Looks(named)
    options: Any = {"actions": arguments.actions, "messages": arguments.messages}
    with heard() as asked, ExitStack() as stack:
        try:
            page = stack.enter_context(
                serve(
                    looks.now,
                    host=arguments.host,
                    port=arguments.port,
                    token=_token(arguments.token_file),
                    **options,
                )
            )
        except (OSError, OverflowError) as error:
            raise InvalidOption(
                f"--host {arguments.host} --port {arguments.port}: {error}: expected an address of "
                "this machine, and a port that is free"
            ) from error
        _say(f"The page is at {page.url}. Ctrl-C ends it.\n")
        looks.go_on(asked)
    looks.end()
    return 0


def _named(text: str) -> list[Any]:
    """Return the buffers that *text* names. Raises `InvalidOption`."""
    if ":" in text:
        found = typed("page", text)
        if not isinstance(found, Buffer):
            raise InvalidOption(
                f"{text} is of type {type(found).__name__}: expected a Queue, Map, AsyncQueue or "
                "AsyncMap"
            )
        return [found]
    where = vars(module("page", text))
    buffers = list({id(each): each for each in where.values() if isinstance(each, Buffer)}.values())
    if not buffers and not running():
        raise InvalidOption(
            f"{text} names no buffers: expected a module in which one is made, as in "
            'queue = Queue("events", store)'
        )
    return buffers


def _token(path: str | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN) or None
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise InvalidOption(f"--token-file {path}: {error}: expected a file of text") from error


class _Looks:
    """What is shown: buffers of the program, and for those that are shared, one that only looks."""

    def __init__(self, named: list[Any]) -> None:
        self._named = named
        self._twins = {
            id(each): _twin(each) for each in named if each._settings.is_shared and not each.running
        }
        self._said = set[str]()

    def now(self) -> list[Any]:
        """Return what is shown now."""
        twins = list(self._twins.values())
        shown = [self._twins.get(id(each), each) for each in self._named]
        return shown + [each for each in running() if each not in shown and each not in twins]

    def go_on(self, asked: Asked) -> None:
        """Reach the servers, until it is told to end."""
        while not asked.to_end():
            for twin in self._twins.values():
                if not twin.running and not asked.to_end():
                    self._begin(twin)
            asked.wait(AGAIN)

    def _begin(self, twin: Any) -> None:
        try:
            twin.start()
        except (StorageError, InvalidOption) as error:
            if str(error) not in self._said:
                self._said.add(str(error))
                sys.stderr.write(f"{twin!r}: {error}\n")

    def end(self) -> None:
        """Let go of the servers."""
        for twin in self._twins.values():
            twin.stop(timeout=1.0)


def _twin(buffer: Any) -> Any:
    """Return a buffer that has what *buffer* has on its server, and delivers nothing."""
    settings = buffer._settings
    storage = copy.copy(settings.storage)
    storage.front = None  # the program's own
    options: Any = {"storage": storage, "partitions": settings.partitions, "clock": settings.clock}
    if type(buffer)._kind.endswith("Map"):
        return Map(settings.name, remember_versions=settings.remember_versions, **options)
    return Queue(settings.name, **options)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
