"""
What may be done from the page: flush, and replay what was given up.

Each at most once at a time for a buffer. A replay goes on in the background, for it takes as long
as the destination does.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

from .._core.waiting.locks import start
from ..cli.giving import Given, Giving
from ..dead_letters import DeadLetterFile
from ..dead_letters.replay import Replayed
from ..errors import BufferNotRunning, StorageError, WrongThread
from .letters import store_of
from .messages import Refused

FLUSH = 5.0
"""Seconds that a flush is waited for."""
PART = 60.0
"""Seconds that a thousand dead letters have, to be settled."""


class Replay:
    """One that goes on, or the last."""

    def __init__(self) -> None:
        self.pushed = 0
        self.is_over = False
        self.error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return how far it has come."""
        return {"given_back": self.pushed, "is_over": self.is_over, "error": self.error}


class Actions:
    """What goes on in a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flushed = set[str]()
        self._replays = dict[str, Replay]()

    def replay_of(self, buffer: Any) -> dict[str, Any] | None:
        """Return how far the replay of a buffer has come; None: there was none."""
        found = self._replays.get(buffer.name)
        return None if found is None else found.as_dict()

    def flush(self, buffer: Any) -> dict[str, Any]:
        """Flush; return whether all was settled in time."""
        name = buffer.name
        _check_running(buffer)
        with self._lock:
            if name in self._flushed:
                raise Refused(409, "it is being flushed already")
            self._flushed.add(name)
        try:
            getattr(buffer, "_blocking", buffer).flush(FLUSH)
        except TimeoutError:
            return {"flushed": False, "held": buffer.size()}
        except (BufferNotRunning, WrongThread, StorageError) as error:
            raise Refused(409, f"it could not be flushed: {type(error).__name__}") from error
        finally:
            with self._lock:
                self._flushed.discard(name)
        return {"flushed": True, "held": buffer.size()}

    def replay(self, buffer: Any) -> dict[str, Any]:
        """Begin to give back what was given up."""
        way = _way_back(buffer)
        with self._lock:
            before = self._replays.get(buffer.name)
            if before is not None and not before.is_over:
                raise Refused(409, "a replay is going on")
            replay = self._replays[buffer.name] = Replay()
        thread = threading.Thread(
            target=_run, args=(way, replay), name="partitioned-buffer-replay", daemon=True
        )
        try:
            start(thread)
        except RuntimeError as error:
            replay.is_over = True
            raise Refused(503, "there are no more threads") from error
        return {"replay": replay.as_dict()}


Way = Callable[[Replay], None]


def _run(way: Way, replay: Replay) -> None:
    try:
        way(replay)
    except Exception as error:
        replay.error = type(error).__name__
    finally:
        replay.is_over = True


def _check_running(buffer: Any) -> None:
    if not buffer.running:
        raise Refused(409, "it does not run")


def _way_back(buffer: Any) -> Way:
    """Return what gives back what was given up of a buffer."""
    handler = buffer._settings.dead_letter
    _check_running(buffer)
    if isinstance(handler, DeadLetterFile):
        return lambda replay: _of_file(handler, buffer, replay)
    store = store_of(buffer)
    if handler is not None or store is None:
        raise Refused(409, "it has neither a DeadLetterFile nor a storage that keeps them")
    if hasattr(buffer, "_blocking"):
        raise Refused(409, "of a buffer of tasks, `partitioned-buffer replay` gives them back")
    return lambda replay: _of_store(buffer, store, replay)


def _of_file(letters: DeadLetterFile, buffer: Any, replay: Replay) -> None:
    def note(so_far: Replayed) -> None:
        replay.pushed = so_far.pushed

    note(letters.replay(buffer, timeout=PART, progress=note))


def _of_store(buffer: Any, store: Any, replay: Replay) -> None:
    journal = getattr(store, "journal", None)
    if journal is not None:
        newest = max((each.id for each in journal.buried(last=1)), default=0)
        those: Any = takewhile(lambda each: each.id <= newest, journal.buried())
        forget: Callable[[Any], object] = journal.forget_buried
    else:
        those = _on_server(store)
        forget = lambda place: store.forget_dead(*place)  # noqa: E731
    giving = _Noted(replay, buffer, forget, store.codec, sys.maxsize)
    giving.give(those)
    if giving.refused:
        replay.error = "some stay: they cannot be read, or were given up again"


def _on_server(store: Any) -> Iterator[Given]:
    # Of earlier layouts, too, which may have had more partitions.
    partitions = sorted({each.partition for each in store.depth() if each.kept})
    numbers = {part: {letter[0] for letter in store.dead(part)} for part in partitions}
    for partition in partitions:
        for number, data, count, *_ in store.dead(partition):
            if number in numbers[partition]:  # what is given up again meanwhile is not
                yield Given((partition, number), count, data)


class _Noted(Giving):
    """Gives back, and notes how much."""

    def __init__(self, replay: Replay, *given: Any) -> None:
        self._replay = replay
        super().__init__(*given)

    def _settle(self) -> bool:
        done = super()._settle()
        self._replay.pushed = self.settled
        return done
