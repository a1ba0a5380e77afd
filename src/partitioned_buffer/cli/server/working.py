"""`worker`: a buffer of the program delivers what is on its server, until it is told to end."""

import argparse
import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

from ... import AsyncMap, AsyncQueue, Map, Queue
from ...errors import InvalidOption, StorageAway
from ..names import typed
from .signals import Asked, heard
from .telling import Shift, log_to_stderr

LOOK = 1.0
"""Seconds between two looks whether the buffer runs still."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    buffer = _buffer(arguments.buffer)
    shift = Shift(buffer, arguments.grace, warns=not log_to_stderr())
    with heard() as asked:
        if buffer.running:  # its module has started it: once more, to deliver
            buffer.stop(arguments.grace)
        buffer._admission.sharing.delivers = True
        if isinstance(buffer, AsyncQueue | AsyncMap):
            return asyncio.run(_with_tasks(buffer, shift, asked))
        return _with_threads(buffer, shift, asked)


def _buffer(name: str) -> Any:
    found = typed("worker", name)
    if not isinstance(found, Queue | Map | AsyncQueue | AsyncMap):
        raise InvalidOption(
            f"{name} is of type {type(found).__name__}: expected a Queue, Map, AsyncQueue "
            "or AsyncMap, as it is made by your program: module:name"
        )
    settings = found._settings
    if not settings.is_shared:
        raise InvalidOption(
            f"{name} is {found!r}, whose storage is {settings.storage!r}: expected a shared one, "
            "storage=Redis(url): what another buffer holds only its own process can deliver"
        )
    if settings.processor is None:
        raise InvalidOption(
            f"{name} is {found!r}, which has no processor: give it the function that delivers, "
            "and its storage deliver=False, so that only workers do"
        )
    return found


def _with_threads(buffer: Queue[Any] | Map[Any, Any], shift: Shift, asked: Asked) -> int:
    while not asked.to_end():
        try:
            buffer.start()
            break
        except StorageAway as error:
            asked.wait(shift.away(error))
    else:
        return 0
    shift.began()
    while not asked.to_end() and buffer.running:
        asked.wait(LOOK)
    if not asked.to_end():
        return shift.stopped_by_others()
    shift.ends()
    return shift.ended(buffer.stop(shift.grace))


async def _with_tasks(
    buffer: AsyncQueue[Any] | AsyncMap[Any, Any], shift: Shift, asked: Asked
) -> int:
    bell = _bell_of(asked)
    async with AsyncExitStack() as stack:
        while not asked.to_end():
            try:
                await stack.enter_async_context(buffer)
                break
            except StorageAway as error:
                await _rung(bell, shift.away(error))
        else:
            return 0
        shift.began()
        while not asked.to_end() and buffer.running:
            await _rung(bell, LOOK)
        if not asked.to_end():
            return shift.stopped_by_others()
        shift.ends()
        return shift.ended(await buffer.stop(shift.grace))


def _bell_of(asked: Asked) -> asyncio.Event:
    """Return what is set when it is asked to end."""
    bell, loop = asyncio.Event(), asyncio.get_running_loop()
    asked.wake = lambda: loop.call_soon_threadsafe(bell.set)
    if asked.to_end():
        bell.set()
    return bell


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(bell.wait(), seconds)
