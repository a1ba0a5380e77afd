"""
What becomes of a Map's numbers when keys are written, or deleted, while the processor has them.

    class TestHere(MapLedgers):
        def storage(self, tmp_path): ...     # None: memory

Over each storage, by threads and by tasks: whatever is done, each write is counted once.
"""

import itertools
import operator
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import KINDS, wait_until

from partitioned_buffer import PartialFailure, Reject, Retry
from partitioned_buffer.testing import assert_balanced

_numbers = itertools.count()

NUMBERS = ("accepted", "delivered", "dead_lettered", "dropped", "coalesced", "deleted", "held")

# --- what is done to keys that the processor has ------------------------------------------

Meddle = Callable[[Any, str], int]
"""Returns how many writes that was, without deletes."""


def deleted(made: Any, key: str) -> int:
    made.delete(key)
    return 0


def deleted_and_another_put(made: Any, key: str) -> int:
    made.delete(key)
    made.put(f"{key} other", 2)
    return 1


def deleted_and_put_again(made: Any, key: str) -> int:
    made.delete(key)
    made.put(key, 2)
    return 1


def put_again_and_deleted(made: Any, key: str) -> int:
    made.put(key, 2)
    made.delete(key)
    return 1


def deleted_twice(made: Any, key: str) -> int:
    made.delete(key)
    made.put(key, 2)
    made.delete(key)
    return 1


def put_over(made: Any, key: str) -> int:
    made.put(key, 2)
    made.put(key, 3)
    return 2


def newer(made: Any, key: str) -> int:
    made.put_newer(key, 2, 5)
    made.put_newer(key, 1, 4)
    return 2


def deleted_and_older(made: Any, key: str) -> int:
    made.delete(key)
    made.put_newer(key, 2, -5)
    return 1


ANY: list[Meddle] = [
    deleted, deleted_and_another_put, deleted_and_put_again, put_again_and_deleted, deleted_twice,
    put_over,
]  # fmt: skip
BY_VERSION: list[Meddle] = [newer, deleted_and_older]

ENDINGS = ["delivered", "tried again", "rejected", "rejected in part", "out of attempts"]
"""What the processor does in the end with what it has in hand."""


class Scene:
    """A Map, and its processor, which ends what it has in hand as it is told."""

    def __init__(self, ending: str, *, kept: bool) -> None:
        self.ending, self.kept = ending, kept
        self.written = 0
        self.delivered, self.handled = list[Any](), list[Any]()
        self._bad = set[str]()
        self._calls = threading.Semaphore(0)
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.made: Any = None

    def handle(self, entries: list[Any], *_: object) -> None:
        self.handled += entries

    def process(self, batch: list[Any]) -> None:
        self._calls.release()
        assert self._goes_on.wait(60)
        bad = [entry for entry in batch if entry.key in self._bad and entry.value == 1]
        if self.ending == "tried again":
            self._bad.clear()
        if bad and not self.ending.startswith("rejected"):
            raise ValueError("bad")
        self.delivered += [entry for entry in batch if entry not in bad]
        if bad:
            raise PartialFailure(reject=bad) if len(bad) < len(batch) else Reject("bad")

    def play(self, meddle: Meddle) -> None:
        """Have two keys in hand, *meddle* with both, and let the processor end."""
        keys = [f"{meddle.__name__} {next(_numbers)}" for _ in range(2)]
        bad = {"delivered": 0, "rejected in part": 1}.get(self.ending, 2)
        self._bad = set(keys[:bad])
        self._goes_on.clear()
        self.made.put_all(dict.fromkeys(keys, 1))
        assert self._calls.acquire(timeout=60)
        self.written += len(keys) + sum(meddle(self.made, key) for key in keys)
        self._arrives()
        self._goes_on.set()
        self.made.put(f"{keys[0]} last", 0)  # after whose delivery all has ended
        self.written += 1
        self.made.flush(60.0)
        wait_until(lambda: self.delivered[-1].key == f"{keys[0]} last")
        wait_until(lambda: self._calls.acquire(blocking=False) is False)
        self.check(meddle.__name__)

    def _arrives(self) -> None:
        """Let what was written get to its server, and the worker see what there is then."""
        if (sharing := getattr(self.made._admission, "sharing", None)) is None:
            return
        wait_until(lambda: self.made._size_here() == 0)
        for _ in range(2):
            for window in [w for pump in sharing.pumps for w in list(pump.windows.values())]:
                before = window.stepped_at
                sharing.pumps[0].hear(-1)
                wait_until(lambda w=window, at=before: w.stepped_at > at)  # type: ignore[misc]

    def check(self, what: str) -> None:
        """See that the numbers are true, and that nothing is counted twice, or not at all."""
        self.made.flush(60.0)  # numbers are of now then
        stats = self.made.stats()
        assert_balanced(stats)
        numbers = {name: getattr(stats, name) for name in NUMBERS}
        assert min(numbers.values()) >= 0, (what, numbers)
        assert numbers["accepted"] == self.written, (what, numbers)
        assert numbers["held"] == numbers["dropped"] == 0, (what, numbers)
        assert numbers["delivered"] <= len(self.delivered), (what, numbers)
        late = len(self.delivered) - numbers["delivered"]  # deleted when it was in hand
        assert late <= numbers["deleted"], (what, numbers)
        if (letters := self.letters()) is not None:
            assert numbers["dead_lettered"] == letters, (what, numbers)

    def letters(self) -> int | None:
        """Return how many were given up, and handled or kept; None: that cannot be seen."""
        if not self.kept:
            return len(self.handled)
        sharing = getattr(self.made._admission, "sharing", None)
        return sharing and sum(letter[2] for letter in sharing.store.dead(0))


@pytest.mark.both_faces
class MapLedgers:
    """A subclass says over which storage."""

    def storage(self, tmp_path: Path) -> Any:
        """Return it; None: memory."""
        raise NotImplementedError

    @pytest.mark.parametrize("ending", ENDINGS)
    @pytest.mark.parametrize("kept", [False, True], ids=["handled", "kept"])
    def test_what_is_in_hand_is_counted_once(
        self, tmp_path: Path, face: str, ending: str, kept: bool
    ) -> None:
        self._play([*ANY, *BY_VERSION], tmp_path, face, ending, kept)

    @pytest.mark.parametrize("ending", ENDINGS)
    @pytest.mark.parametrize("merge", [operator.add, max], ids=["sums", "parts"])
    def test_what_is_in_hand_is_counted_once_where_values_merge(
        self, tmp_path: Path, face: str, ending: str, merge: Any
    ) -> None:
        self._play(ANY, tmp_path, face, ending, False, merge=merge)

    def _play(
        self,
        meddles: list[Meddle],
        tmp_path: Path,
        face: str,
        ending: str,
        kept: bool,
        **options: Any,
    ) -> None:
        scene = Scene(ending, kept=kept)
        if (storage := self.storage(tmp_path)) is not None:
            options["storage"] = storage
        if not kept:
            options["dead_letter"] = scene.handle
        scene.made = KINDS[face]["map"](
            f"ledger-{next(_numbers)}",
            scene.process,
            partitions=1,
            flush_at=1,
            processing_interval=0.05,
            retry=Retry(attempts=2, wait_initial=0.001, jitter=0.0),
            **options,
        )
        with scene.made:
            for meddle in meddles:
                scene.play(meddle)
