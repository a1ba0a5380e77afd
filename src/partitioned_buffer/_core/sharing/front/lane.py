"""
The front of a shared buffer: its own tables, whose workers bring what they hold to the server.

A partition here is a lane, and its processor the shipper. It goes to work as soon as anything
waits, but not more often than every few milliseconds, for the server works per parcel.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....abc import DeadLetterHandler
from ....events import ItemsDropped
from ...delivery.partition import Partition
from ...options.checks import is_coroutine_function
from ...options.retry import Retry
from ...options.settings import Settings
from ..sharing import Sharing
from .unsent import Sent

LINGER = 0.004
"""Seconds between two ships, of real time; none where writers wait for them."""

YIELDS = 4
"""How often it gives way to writers that may be about to write, where they wait for it."""

MOST = 8000
"""Records of one ship."""


class Front:
    """What there is of a partition in any front, whatever its table."""

    is_prompt = True
    index: int
    table: Any
    _began: float
    _last: int
    _lingers: bool
    _sharing: Sharing

    def _prepare(self, sharing: Sharing) -> None:
        self._sharing, self._began, self._last = sharing, 0.0, 1
        self._lingers = sharing.storage.ack == "local"

    def settings_of_front(self, index: int, settings: Settings) -> Settings:
        """Return by which options the front of a lane is worked on, given a buffer's own."""
        return front_settings(index, settings, self._sharing)

    def retune(self, settings: Settings) -> None:
        """Go by other *settings* of the buffer from the next cycle on."""
        self.settings = self.settings_of_front(self.index, settings)

    def fill(self) -> None:
        """Let more come together: if the last ship is not long ago, or had more."""
        if self._lingers:
            time.sleep(max(0.0, min(LINGER, self._began + LINGER - time.monotonic())))
            self._began = time.monotonic()
        else:
            for _ in range(YIELDS):  # without that, writers part into two crowds that take turns
                if len(self.table) >= self._last:
                    break
                time.sleep(0)
        super().fill()  # type: ignore[misc]  # that of a partition

    def swap(self) -> tuple[int, bool]:
        """Put in flight what waits; return how much is, and whether something was left over."""
        swapped: tuple[int, bool] = super().swap()  # type: ignore[misc]  # as above
        self._last = swapped[0]
        return swapped

    def emit(self, event: Any, **what: Any) -> None:
        """Tell the hooks of drops alone: they know batches as those of the processor."""
        if event is ItemsDropped:
            super().emit(event, **what)  # type: ignore[misc]  # as above

    def report(self, message: str, *args: object, error: BaseException | None = None) -> None:
        """Log an error."""
        if not isinstance(error, Sent):  # which is why a newer value stays behind it
            super().report(f"its front: {message}", *args, error=error)  # type: ignore[misc]  # as above


class FrontPartition(Front, Partition[Any]):
    """Of one lane, in memory."""

    def __init__(
        self, index: int, table: Any, settings: Settings, sharing: Sharing, **also: Any
    ) -> None:
        self._prepare(sharing)
        self._resort = _of_items(settings.dead_letter, sharing)
        super().__init__(index, table, self.settings_of_front(index, settings), **also)

    @property
    def must_wait(self) -> bool:  # type: ignore[override]  # depends
        """Whether a write has to wait for the server."""
        return not self._lingers

    @property
    def is_stored(self) -> bool:  # type: ignore[override]  # depends
        """Whether it is to be asked to `fill`: not by a task that does not linger."""
        return self._lingers or bool(self._sharing.face._supervisor.survives_fork)

    @property
    def dead_letter(self) -> DeadLetterHandler | None:
        """Who gets what an end has left."""
        return self._resort


def front_settings(lane: int, settings: Settings, sharing: Sharing) -> Settings:
    """Return by which options the front of a lane is worked on, given a buffer's own."""
    return replace(
        settings,
        processor=sharing.ship(lane),
        dead_letter=_of_items(settings.dead_letter, sharing),
        processing_batch_size=MOST,
        processing_interval=1.0,
        interval_jitter=0.0,
        flush_at=1,
        retry=Retry(attempts=math.inf),
    )


def _of_items(handler: DeadLetterHandler | None, sharing: Sharing) -> Callable[..., object] | None:
    """Return what hands over the items of records."""
    if handler is None or not is_coroutine_function(handler):
        if handler is None:
            return None

        def hand_over(records: list[Any], error: BaseException, attempts: int) -> object:
            items = sharing.items(records)  # of a Map's deletes there are none
            return handler(items, error, attempts) if items else None

        return hand_over

    async def hand_over_there(records: list[Any], error: BaseException, attempts: int) -> object:
        items = sharing.items(records)
        return await handler(items, error, attempts) if items else None  # type: ignore[misc]

    return hand_over_there
