"""A replay forgets what is settled, part by part, and the next one goes on from there."""

from pathlib import Path
from typing import Any

import pytest
from helpers import Buffers
from letters import DOWN, Receiver, records

from partitioned_buffer import BufferFull, BufferNotRunning
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.dead_letters import replay as replaying_module
from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces


@pytest.fixture(autouse=True)
def parts_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying_module, "PART", 3)


class Failing(Receiver):
    """Raises at the push of *at*."""

    def __init__(self, at: Any, error: BaseException) -> None:
        super().__init__()
        self._at, self._error = at, error

    def push(self, item: Any) -> None:
        if item == self._at:
            raise self._error
        super().push(item)


def test_it_is_flushed_part_by_part(letters: DeadLetterFile, path: Path) -> None:
    letters(list(range(7)), DOWN, 1)
    receiver = Receiver()

    assert letters.replay(receiver, timeout=5) == Replayed(7, 0)
    assert receiver.received == list(range(7))
    assert receiver.timeouts == [5, 5, 5]


@pytest.mark.parametrize("error", [DOWN, KeyboardInterrupt()])
def test_what_is_settled_is_not_pushed_again(
    error: BaseException, letters: DeadLetterFile, path: Path, replaying: Path
) -> None:
    letters([*range(8), {1}], DOWN, 1)
    before = replaying_lines(path)

    with pytest.raises(type(error)):
        letters.replay(Failing(4, error))

    after = replaying_lines(replaying)
    assert [line[:1] for line in after] == [b"#"] * 3 + [b"{"] * 6
    assert [line[1:] for line in after] == [line[1:] for line in before], "and nothing else"

    receiver = Receiver()
    letters([9], DOWN, 1)
    assert letters.replay(receiver) == Replayed(6, 1)
    assert receiver.received == [3, 4, 5, 6, 7, 9]
    assert [record["repr"] for record in records(path)] == ["{1}"]
    assert not replaying.exists()


def replaying_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_a_flush_that_is_too_late_forgets_nothing_of_its_part(
    letters: DeadLetterFile, buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1)
    letters(list(range(5)), DOWN, 1)

    def fail_after_three() -> None:
        processor.fail_always(DOWN)

    with pytest.raises(TimeoutError):
        letters.replay(queue, timeout=1.0, progress=lambda _: fail_after_three())
    assert processor.items == [0, 1, 2]

    processor.recover()
    queue.flush()
    assert letters.replay(queue) == Replayed(2, 0)
    assert processor.items == [0, 1, 2, 3, 4, 3, 4], "at least once"


def test_it_says_how_far_it_is(letters: DeadLetterFile) -> None:
    letters([0, {1}, 2, 3, 4, 5, 6, {7}], DOWN, 1)
    said: list[Replayed] = []

    assert letters.replay(Receiver(), progress=said.append) == Replayed(6, 2)
    assert said == [Replayed(3, 1, left=4), Replayed(6, 1, left=1)]


def test_what_ends_it_says_how_far_it_has_come(letters: DeadLetterFile, replaying: Path) -> None:
    letters(list(range(8)), DOWN, 1)

    with pytest.raises(BufferNotRunning) as raised:
        letters.replay(Failing(4, BufferNotRunning("stopped")))

    (note,) = raised.value.__notes__
    assert note.startswith("3 dead letters were replayed, 5 are left in ")
    assert str(replaying) in note


def test_who_hears_of_its_progress_may_end_it(letters: DeadLetterFile) -> None:
    letters(list(range(8)), DOWN, 1)

    def enough(_: Replayed) -> None:
        raise StopAsyncIteration

    receiver = Receiver()
    with pytest.raises(StopAsyncIteration):
        letters.replay(receiver, progress=enough)

    assert letters.replay(receiver) == Replayed(5, 0)
    assert receiver.received == list(range(8))


def test_a_file_that_was_put_back_by_hand_goes_on_where_it_was(
    letters: DeadLetterFile, path: Path, replaying: Path
) -> None:
    letters(list(range(8)), DOWN, 1)
    with pytest.raises(OSError, match="down"):
        letters.replay(Failing(4, DOWN))
    path.write_bytes(b'{"item": "before"}\n' + replaying.read_bytes())
    replaying.unlink()
    receiver = Receiver()

    letters.replay(receiver)

    assert receiver.received == ["before", 3, 4, 5, 6, 7]


def test_a_buffer_that_is_smaller_than_a_part_is_flushed_when_full(
    letters: DeadLetterFile, buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, when_full="raise")
    letters(list(range(7)), DOWN, 1)

    assert letters.replay(queue) == Replayed(7, 0)
    assert processor.items == list(range(7))


def test_a_buffer_that_is_full_of_something_else_takes_nothing(
    letters: DeadLetterFile, replaying: Path
) -> None:
    letters([1, 2], DOWN, 1)
    full = Failing(1, BufferFull("full"))

    with pytest.raises(BufferFull):
        letters.replay(full)

    assert full.timeouts == []
    assert len(records(replaying)) == 2
