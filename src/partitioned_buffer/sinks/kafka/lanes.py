"""
Producers, and who has which.

Each partition of a buffer has one of its own, and keeps it: what is purged of one is nobody else's,
and what it tries again comes from the same, of which brokers know what they have had. One that was
given is everybody's, in turn.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ... import batch_id
from ...errors import Outage, WrongThread
from .messages import Message
from .sending import Sending

Make = Callable[[Callable[[Any], None]], Any]
"""Makes a producer that calls a function with errors that are nobody's."""


class Lane:
    """A producer, which one call has at a time."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._producer: Any = None
        self._is_stale = False
        self.trouble = ""
        """What the producer has said of its connections, since it last delivered."""

    def send(self, topic: str, messages: Sequence[Message], seconds: float) -> Sending:
        """Send *messages*, within so many *seconds*."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise Outage(f"topic {topic!r}: its producer was in use for {seconds:g} seconds")
        try:
            if self._producer is None:
                self._producer = self._make(self._hear)
            if self._is_stale:
                self._look(topic, (end - time.monotonic()) / 2)
            sending = Sending(self._producer, topic, messages, end - time.monotonic())
            sending.send()
            self._is_stale = sending.is_stale
            if sending.is_fatal:
                self._producer = None
            if not sending.failed:
                self.trouble = ""
        finally:
            self._lock.release()
        return sending

    def _look(self, topic: str, seconds: float) -> None:
        """Have the producer ask what has become of the topic: it does so every five minutes."""
        with suppress(Exception):
            self._producer.list_topics(topic, timeout=max(0.0, seconds))

    def _hear(self, error: Any) -> None:
        if error.name() != "_ALL_BROKERS_DOWN" or not self.trouble:
            self.trouble = str(error.str())


class Lanes:
    """Those of a sink."""

    def __init__(self, make: Make, *, is_given: bool) -> None:
        self._make, self._is_given = make, is_given
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._lanes: dict[object, Lane] = {}
        self._parents: list[dict[object, Lane]] = []

    def mine(self) -> Lane:
        """Return that of the partition whose batch is being processed."""
        if self._pid != os.getpid():
            # The threads of a parent's producers are not here, and who destroys one waits for them.
            self._parents.append(self._lanes)
            self._lock, self._lanes, self._pid = threading.Lock(), {}, os.getpid()
        with self._lock:
            return self._lanes.setdefault(self._whose(), Lane(self._make))

    def _whose(self) -> object:
        if self._is_given:
            return None
        try:
            identity = batch_id()
        except WrongThread:
            return None
        return identity.buffer, identity.partition

    def close(self) -> None:
        """Let go of all of them: nothing is on its way between calls."""
        if self._pid == os.getpid():
            with self._lock:
                self._lanes = {}
