"""How long the end of a block lasts, and what becomes of what is left then; over both faces."""

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import EVERY_5_S, wait_until

from partitioned_buffer import AsyncMap, AsyncQueue, Map, Queue, Undelivered
from partitioned_buffer.testing import FakeClock, RecordingHook, assert_balanced

pytestmark = [pytest.mark.both_faces]


class Letters:
    """A dead letter handler that keeps what it gets, until it is told to fail."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.errors: list[BaseException] = []
        self.attempts: list[int] = []
        self.room: float = float("inf")

    def __call__(self, items: list[Any], error: BaseException, attempts: int) -> None:
        if len(self.taken) + len(items) > self.room:
            raise OSError("the disk is full")
        self.taken += items
        self.errors.append(error)
        self.attempts += [attempts] * len(items)


class Body(Exception):
    """What a body raises."""


def live(
    face: str,
    kind: str,
    processor: Any,
    body: Callable[[Any], object],
    until: threading.Event | None = None,
    error: BaseException | None = None,
    **options: Any,
) -> Any:
    """Live through a block with *body* in it, that waits *until* and raises *error*."""
    options = {"partitions": 1, "retry": EVERY_5_S} | options
    if face == "threads":
        made = {"queue": Queue, "map": Map}[kind]("ends", processor, **options)
        with made as buffer:
            body(buffer)
            if until:
                until.wait(60)
            if error:
                raise error
        return made
    buffer = {"queue": AsyncQueue, "map": AsyncMap}[kind]("ends", processor, **options)

    async def main() -> None:
        async with buffer:
            body(buffer)
            if until:
                await asyncio.to_thread(until.wait, 60)
            if error:
                raise error

    asyncio.run(main())
    return buffer


def push_all(items: Any) -> Callable[[Any], None]:
    def body(queue: Any) -> None:
        (queue.push_all if isinstance(queue, Queue) else queue.push_all_nowait)(items)

    return body


def down(_: Any) -> None:
    raise ConnectionError("down")


def test_what_an_end_leaves_is_handed_over_as_undelivered(face: str, clock: FakeClock) -> None:
    letters, hook = Letters(), RecordingHook()

    queue = live(
        face,
        "queue",
        down,
        push_all(range(2500)),
        clock=clock,
        dead_letter=letters,
        hooks=[hook],
    )

    assert letters.taken == list(range(2500))
    stats = queue.stats()
    assert_balanced(stats)
    assert (stats.dead_lettered, stats.held, stats.delivered) == (2500, 0, 0)
    for error in letters.errors:
        assert isinstance(error, Undelivered)
        assert isinstance(error.__cause__, ConnectionError)
        assert "buffer 'ends' ended" in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    # The batch that failed was tried, again and again; what is behind it never was.
    assert letters.attempts[:10] == [letters.attempts[0]] * 10
    assert letters.attempts[0] > 1
    assert letters.attempts[10:] == [0] * 2490


def test_a_map_hands_over_its_entries(face: str, clock: FakeClock) -> None:
    letters = Letters()

    def body(mapped: Any) -> None:
        put_all = mapped.put_all if face == "threads" else mapped.put_all_nowait
        put_all({n: -n for n in range(30)})

    mapped = live(face, "map", down, body, clock=clock, dead_letter=letters)

    assert {entry.key: entry.value for entry in letters.taken} == {n: -n for n in range(30)}
    assert_balanced(mapped.stats())
    assert mapped.stats().dead_lettered == 30


def test_a_body_that_ended_is_followed_by_a_drain_that_goes_on_as_long_as_something_is_settled(
    face: str, clock: FakeClock
) -> None:
    delivered: list[int] = []

    def slow(batch: list[int]) -> None:
        clock.jump(15.0)  # of 20 that it may take until something is settled
        delivered.extend(batch)

    queue = live(face, "queue", slow, push_all(range(5)), clock=clock, processing_batch_size=1)

    assert delivered == list(range(5))
    assert clock.monotonic() == 75.0
    assert queue.stats().delivered == 5


def test_a_drain_ends_when_nothing_was_settled_for_exit_timeout(
    face: str, clock: FakeClock
) -> None:
    letters = Letters()

    live(face, "queue", down, push_all([1]), clock=clock, exit_timeout=30.0, dead_letter=letters)

    assert letters.taken == [1]
    assert clock.monotonic() == 30.0


def test_a_body_that_raised_has_exit_timeout_in_all_and_a_fifth_is_for_handing_over(
    face: str, clock: FakeClock
) -> None:
    letters, delivered = Letters(), list[int]()

    def slow(batch: list[int]) -> None:
        clock.jump(6.0)
        delivered.extend(batch)

    with pytest.raises(Body):
        live(
            face,
            "queue",
            slow,
            push_all(range(5)),
            error=Body(),
            clock=clock,
            processing_batch_size=1,
            dead_letter=letters,
        )

    # At 16 seconds it is over, and the call at hand returns.
    assert len(delivered) >= 3
    assert delivered + letters.taken == list(range(5))
    assert set(letters.attempts) <= {0}


def test_without_a_handler_all_of_exit_timeout_is_for_delivering(
    face: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Body):
        live(face, "queue", down, push_all([1, 2]), error=Body(), clock=clock)

    assert clock.monotonic() == 20.0
    (line,) = [r for r in caplog.records if "undelivered" in r.getMessage()]
    assert line.levelname == "WARNING"
    assert line.getMessage() == (
        "buffer 'ends' ended: 2 undelivered stay in memory, and are lost with it "
        "(ConnectionError('down')). Give it a dead_letter (a DeadLetterFile, say), which gets what "
        "is left, or a longer exit_timeout"
    )


def test_what_is_handed_over_is_said_in_one_line(
    face: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    live(face, "queue", down, push_all(range(25)), clock=clock, dead_letter=Letters())

    lines = [r.getMessage() for r in caplog.records if "undelivered" in r.getMessage()]
    (line,) = lines
    assert line.startswith("buffer 'ends' ended: 25 undelivered were handed to its dead_letter (")
    assert line.endswith("(ConnectionError('down'))")


def test_what_the_handler_does_not_take_stays_held_and_is_said(
    face: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    letters = Letters()
    letters.room = 15  # the ten that were tried; but not those behind them

    queue = live(face, "queue", down, push_all(range(25)), clock=clock, dead_letter=letters)

    stats = queue.stats()
    assert_balanced(stats)
    assert (stats.dead_lettered, stats.held, stats.dead_letter_errors) == (10, 15, 1)
    assert "10 undelivered were handed" in caplog.text
    assert "15 undelivered stay in memory" in caplog.text
    assert "Give it a dead_letter that takes what is left in time" in caplog.text


def test_a_stop_keeps_what_it_leaves(face: str, clock: FakeClock) -> None:
    letters, reports = Letters(), list[Any]()

    async def main() -> None:
        async with AsyncQueue(
            "ends", down, partitions=1, clock=clock, retry=EVERY_5_S, dead_letter=letters
        ) as queue:
            queue.push_nowait(1)
            reports.append(await queue.stop(3.0))

    if face == "tasks":
        asyncio.run(main())
    else:
        with Queue(
            "ends", down, partitions=1, clock=clock, retry=EVERY_5_S, dead_letter=letters
        ) as queue:
            queue.push(1)
            reports.append(queue.stop(3.0))

    assert letters.taken == []
    assert reports[0].left == (1,)


def test_a_call_that_hangs_is_left_behind_and_its_batch_handed_over(face: str) -> None:
    letters, entered, release = Letters(), threading.Event(), threading.Event()
    calls: list[Any] = []

    def hang(batch: list[int]) -> None:
        calls.append(batch)
        entered.set()
        release.wait(60)

    def body(queue: Any) -> None:
        made.append(queue)
        push_all(range(3))(queue)

    made: list[Any] = []
    options: Any = {"flush_at": 1, "exit_timeout": 1.0, "processing_batch_size": 1}
    try:
        with pytest.raises(Body):
            live(face, "queue", hang, body, entered, Body(), dead_letter=letters, **options)
        assert letters.taken == [0, 1, 2]
        assert made[0].stats().dead_lettered == 3
    finally:
        release.set()
    wait_until(lambda: made[0]._run.has_ended)

    # What comes of the call in the end changes nothing: it was given to somebody else.
    stats = made[0].stats()
    assert_balanced(stats)
    assert (stats.dead_lettered, stats.delivered, stats.held) == (3, 0, 0)
    assert calls == [[0]]


def test_a_call_that_returns_while_others_hand_over_counts(face: str) -> None:
    letters, entered, release = Letters(), threading.Event(), threading.Event()
    made: list[Any] = []

    def slow(_: list[int]) -> None:
        entered.set()
        release.wait(60)

    def body(queue: Any) -> None:
        made.append(queue)
        push_all(range(3))(queue)
        threading.Thread(target=when_it_surrenders, args=(queue,)).start()

    def when_it_surrenders(queue: Any) -> None:
        (worker,) = queue._run.workers
        wait_until(lambda: worker.driver.surrender is not None)
        release.set()

    with pytest.raises(Body):
        live(
            face,
            "queue",
            slow,
            body,
            entered,
            Body(),
            dead_letter=letters,
            flush_at=1,
            exit_timeout=4.0,
            processing_batch_size=1,
        )

    stats = made[0].stats()
    assert_balanced(stats)
    assert (stats.delivered, stats.dead_lettered) == (1, 2)
    assert letters.taken == [1, 2]


def test_a_handler_that_hangs_does_not_outlast_the_end(
    face: str, caplog: pytest.LogCaptureFixture
) -> None:
    release, made = threading.Event(), list[Any]()

    def hang(*_: object) -> None:
        release.wait(60)

    def body(queue: Any) -> None:
        made.append(queue)
        push_all(range(3))(queue)

    try:
        with pytest.raises(Body):
            live(face, "queue", down, body, error=Body(), dead_letter=hang, exit_timeout=0.1)
        assert "3 undelivered stay in memory" in caplog.text
    finally:
        release.set()
    wait_until(lambda: made[0]._run.has_ended)
    assert_balanced(made[0].stats())
