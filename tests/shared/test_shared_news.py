"""What workers hear of each other: nobody waits for the next look to have what is free."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from helpers import wait_until
from shares import Shares, counted, keys_in, shared_terms

from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces

STEPS, STEP = 20, 0.02
"""So little time passes that nobody would have claimed."""


@pytest.fixture(autouse=True)
def _nobody_beats_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioned_buffer._core.sharing.clerk.LOOK", 300.0)


def owned(shares: Shares) -> list[int]:
    """Return how many partitions each worker has, most first."""
    owners = [depth.owner for depth in shares.shared._server.depth(0)]
    counts = Counter(owner for owner in owners if owner is not None)
    return sorted(counts.values(), reverse=True)


def at_once(shares: Shares, fair: list[int]) -> None:
    """Have workers own that, before anybody looks by itself."""
    for _ in range(STEPS):
        shares._clock.advance(STEP)
        for _ in range(20):  # for whoever waits for no clock
            if owned(shares) == fair:
                return
            time.sleep(0.005)
    pytest.fail(f"{owned(shares)}")


def a_pair(shares: Shares) -> tuple[Any, Any, RecordingProcessor]:
    """Return two workers with two partitions each, and the first one's processor."""
    shares.new(partitions=4, lease=900.0)
    processor = RecordingProcessor()
    first = shares.elsewhere(processor, partition_key=lambda item: item)
    shares.seen(lambda: owned(shares) == [4])
    second = shares.elsewhere(RecordingProcessor())
    shares.seen(lambda: owned(shares) == [2, 2])
    shares._clock.advance(1.5)  # in the middle between two claims
    return first, second, processor


def test_others_have_at_once_what_a_worker_that_ends_had(shares: Shares) -> None:
    first, second, _ = a_pair(shares)

    first.stop()
    at_once(shares, [4])
    assert second.stats().shared.workers == 1


def test_a_worker_that_comes_has_its_share_at_once(shares: Shares) -> None:
    shares.new(partitions=4, lease=900.0)
    shares.elsewhere(RecordingProcessor())
    shares._clock.advance(1.5)
    assert owned(shares) == [4]

    shares.elsewhere(RecordingProcessor())
    at_once(shares, [2, 2])


def test_a_call_that_goes_on_holds_up_its_own_partition_alone(shares: Shares) -> None:
    first, _, processor = a_pair(shares)
    mine = [d.partition for d in shares.shared._server.depth(0) if d.owner == me_of(first)]
    (key,) = keys_in(first, mine[0])
    processor.block()
    first.push(key)
    processor.wait_for_call()
    ending = threading.Thread(target=first.stop, args=(60.0,))

    ending.start()
    wait_until(lambda: _passed(shares) and owned(shares) == [3, 1])
    processor.unblock()
    ending.join(60)
    at_once(shares, [4])
    assert processor.items == [key]


def me_of(buffer: Any) -> str:
    me: str = buffer._admission.sharing.store.me
    return me


def _passed(shares: Shares) -> bool:
    """Let a little time pass: less than until anybody looks, in all."""
    shares._clock.jump(0.0005)
    return True


def test_what_one_worker_lets_go_of_is_had_by_one_that_has_too_few(shares: Shares) -> None:
    shares.new(partitions=2, lease=900.0)
    other = shares.shared.another().share(shared_terms())
    claim = other.claim(1)
    assert claim is not None
    shares.elsewhere(RecordingProcessor())
    shares._clock.advance(1.5)
    assert owned(shares) == [1, 1]

    other.release(claim)
    at_once(shares, [2])


def test_who_may_have_missed_something_looks_at_once(shares: Shares) -> None:
    first, second, _ = a_pair(shares)
    second._settings.storage.deaf = True
    first.stop()
    shares._clock.advance(STEPS * STEP)
    assert owned(shares) == [2]

    second._settings.storage.deaf = False
    shares.shared.tell(-1)
    at_once(shares, [4])


def test_much_news_is_one_look(shares: Shares) -> None:
    shares.new(partitions=3, lease=900.0)
    claim = shares.shared.another().share(shared_terms()).claim(0)
    worker, calls = shares.elsewhere(RecordingProcessor()), dict[str, int]()
    shares._clock.advance(1.5)
    worker._settings.storage.on_call = counted(calls)

    for _ in range(50):
        shares.shared.tell(-3)
        shares._clock.settle()

    assert claim is not None
    assert (calls["beat"], calls["claim"]) == (1, 1)
    shares._clock.advance(0.05)
    assert (calls["beat"], calls["claim"]) == (2, 2)


def test_nobody_has_news_while_nothing_changes(shares: Shares) -> None:
    a_pair(shares)
    heard = list[int]()
    shares.shared.another().share(shared_terms()).listen(heard.append)

    shares._clock.advance(30.0)

    assert heard == [-1]


def test_a_partition_for_which_no_worker_is_to_be_had_is_not_claimed_in_a_hurry(
    shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares.new(partitions=1, lease=900.0)
    worker, tries = shares.elsewhere(RecordingProcessor(), start=False), list[object]()

    def admit(*args: Any) -> None:
        tries.append(args)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker._supervisor, "admit", admit)
    worker.start()
    shares._clock.advance(2.5)

    assert 1 < len(tries) <= 4
