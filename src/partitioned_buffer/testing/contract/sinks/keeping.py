"""Time limits, and what is left behind."""

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

from .... import Outage, RetryAfter
from .base import Base
from .saying import says
from .using import Use

PATIENCE = 30.0
"""Real seconds after which a call is taken to wait for ever."""


class Watchable(dict[str, Any]):
    """An item of which it can be told that it is gone."""


class Keeping(Base):
    """A call ends, and then nothing of it is left."""

    def test_everything_that_waits_has_a_time_limit(self, tmp_path: Path) -> None:
        self.needs("silence")
        said, sink = list[BaseException | None](), self.make_hasty(tmp_path)

        def call() -> None:
            with Use(sink) as use:
                said.append(use.give(self.items(1)))

        with self.silence(tmp_path):
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            thread.join(PATIENCE)
            assert said, f"the call still waits after {PATIENCE} seconds"
            says(said[0], Outage, RetryAfter)
        thread.join(PATIENCE)

    def test_it_works_again_after_a_silence(self, tmp_path: Path) -> None:
        self.needs("silence")
        with Use(self.make_hasty(tmp_path)) as use:
            with self.silence(tmp_path):
                says(use.give(self.items(1)), Outage, RetryAfter)
            assert use.give(self.items(1)) is None
            assert self.rows(1)[0] in self.found(tmp_path)

    def test_nothing_is_kept_after_delivery(self, tmp_path: Path) -> None:
        with self.used(tmp_path) as use:
            batch, watching = self._watched(1, 2, 3)
            assert use.give(batch) is None
            del batch
            assert alive(use, watching) == 0

    def test_nothing_is_kept_after_an_outage(self, tmp_path: Path) -> None:
        self.needs("outage")
        with self.used(tmp_path) as use:
            batch, watching = self._watched(1, 2, 3)
            with self.outage(tmp_path):
                assert use.give(batch) is not None
            del batch
            assert alive(use, watching) == 0

    def test_nothing_is_kept_of_a_batch_that_was_rejected_in_part(self, tmp_path: Path) -> None:
        self.needs("reject")
        with self.used(tmp_path) as use:
            batch, watching = self._watched(1, 3)
            assert use.give([*batch, self.bad_item(2)]) is not None
            del batch
            assert alive(use, watching) == 0

    def test_a_dead_letters_error_does_not_keep_the_batch(self, tmp_path: Path) -> None:
        self.needs("reject")
        with self.used(tmp_path) as use:
            batch, watching = self._watched(1, 3)
            error = use.give([*batch, self.bad_item(2)])
            reasons = dict(getattr(error, "reject", None) or {})
            assert reasons
            del batch, error
            assert alive(use, watching) == 0, f"kept by {reasons}"

    def test_it_may_be_closed_twice_and_used_again(self, tmp_path: Path) -> None:
        with self.used(tmp_path) as use:
            assert use.give(self.items(1)) is None
            use.close()
            use.close()
            assert use.give(self.items(2), position=1) is None
            assert self.all_found(tmp_path) == self.rows(1, 2)

    def test_it_may_be_closed_before_it_is_used(self, tmp_path: Path) -> None:
        with self.used(tmp_path) as use:
            use.close()

    def _watched(self, *numbers: int) -> tuple[list[Any], list[weakref.ref[Any]]]:
        batch: list[Any] = [Watchable(item) for item in self.items(*numbers)]
        return batch, [weakref.ref(item) for item in batch]


def alive(use: Use, watching: list[weakref.ref[Any]]) -> int:
    """Return how many are still there."""
    use.settle()
    gc.collect()
    return sum(ref() is not None for ref in watching)
