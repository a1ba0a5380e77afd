"""
Messages on their way to a topic, and what is said of each.

A producer takes messages into a queue of its own and tells later, while it is polled, what became
of each. What is not settled when the time is over is purged, all at once: what a producer goes on
trying would arrive later, unasked, behind what the buffer tries again meanwhile. So of each of the
topic's partitions what was delivered is the first part, and what is tried again is the rest, in
order.

What was on its way to a broker then may have arrived or not: nobody knows, and it is tried again.
An idempotent producer goes on in a new epoch after that, so brokers refuse what still comes of the
old one once something of the new has arrived.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from .messages import Message
from .reports import ALONE, OPERATORS, rejection

SETTLING = 5.0
"""Seconds for a producer to say what it has purged."""

_UNSENT = None


class Sending:
    """One batch's, by a producer that nobody else uses meanwhile."""

    def __init__(
        self, producer: Any, topic: str, messages: Sequence[Message], seconds: float
    ) -> None:
        self._producer, self._topic, self._messages = producer, topic, messages
        self._end = time.monotonic() + seconds
        self._unsettled = set[int]()
        self.failed: dict[int, Any] = dict.fromkeys(range(len(messages)), _UNSENT)
        """By its number, what is not there, with the client's error; None: it was not sent."""
        self.rejected: dict[int, BaseException] = {}
        """By its number, what will never do, and why."""
        self.broken = ""
        """What the producer says that has failed for good."""

    def send(self) -> None:
        """Send all of them, and wait until each is settled, or the time is over."""
        self._send(range(len(self._messages)))
        suspects = [n for n, error in self.failed.items() if error and error.name() in ALONE]
        for number in sorted(suspects):
            if len(self._messages) > 1 and not self._again(number):
                return
            if error := self.failed.get(number):
                self._reject(number, error)

    def _again(self, number: int) -> bool:
        """Send one alone, since others of its request may be to blame; return whether to go on."""
        self.failed[number] = _UNSENT
        self._send([number])
        if number not in self.failed:
            return True
        error = self.failed[number]
        return error is not None and error.name() in ALONE

    def _send(self, numbers: Iterable[int]) -> None:
        try:
            for number in numbers:
                if not self._produce(number):
                    break
            if self._unsettled:
                self._serve(self._producer.flush, max(0.0, self._left))
        finally:
            if self._unsettled:
                self._producer.purge(blocking=False)  # a broker's thread may look up its name
                self._serve(self._producer.flush, SETTLING)
                self._unsettled = set()  # what is told later is told to nobody

    def _serve(self, wait: Callable[[float], object], seconds: float) -> None:
        """Wait for what the producer has to tell; it raises what ends it, or a user's `error_cb`"""
        try:
            wait(seconds)
        except Exception as error:  # among them a SystemError about a callback of ours
            self.broken = str(error.__cause__ or error)

    def _produce(self, number: int) -> bool:
        """Give a message to the producer; return whether to go on."""
        message = self._messages[number]
        told = partial(self._told, number, self._unsettled)
        self._unsettled.add(number)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    message.value,
                    message.key,
                    headers=message.headers,
                    on_delivery=told,
                )
            except BufferError:  # its queue is full, which is no error
                if self._left > 0 and not self.broken and len(self._producer):
                    self._serve(self._producer.poll, self._left)
                    continue
                self._unsettled.discard(number)
                if self._left > 0 and not self.broken:
                    self._too_large(number)
                    return True
                return False
            except Exception as error:
                self._unsettled.discard(number)
                return self._refused(number, error)
            return True

    def _told(self, number: int, unsettled: set[int], error: Any, _: Any) -> None:
        """Note what is said of a message, unless nobody waits for that any more."""
        if unsettled is self._unsettled:
            unsettled.discard(number)
            if error is None:
                self.failed.pop(number, None)
            else:
                self.failed[number] = error

    def _refused(self, number: int, error: Exception) -> bool:
        """Note what the producer did not take; return whether to go on."""
        said: Any = error.args[0] if error.args else None
        if not hasattr(said, "name"):  # not an error of Kafka's: it is what was given
            del self.failed[number]
            self.rejected[number] = error.with_traceback(None)
            return True
        if said.name() in ALONE:
            self._reject(number, said)
            return True
        # The topic, or the producer, is in trouble. What is behind this must not overtake it.
        self.failed[number] = said
        return False

    def _reject(self, number: int, error: Any) -> None:
        del self.failed[number]
        self.rejected[number] = rejection(self._messages[number].size, error)

    def _too_large(self, number: int) -> None:
        del self.failed[number]
        self.rejected[number] = ValueError(
            f"a message of {self._messages[number].size} bytes: the queue of the producer has no "
            "room for it, though it is empty: expected a greater queue.buffering.max.kbytes"
        )

    @property
    def _left(self) -> float:
        return self._end - time.monotonic()

    @property
    def is_stale(self) -> bool:
        """Whether what the producer knows of the topic keeps it from trying."""
        return any(error and error.name() in OPERATORS for error in self.failed.values())

    @property
    def is_fatal(self) -> bool:
        """Whether the producer will never deliver anything any more."""
        said = [error for error in self.failed.values() if error]
        return bool(self.broken) or any(e.fatal() or e.name() == "_FATAL" for e in said)
