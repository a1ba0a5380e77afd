"""Keys that raise, or become others: only the writer who brings one is asked what it thinks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import Entry
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

pytestmark = pytest.mark.both_faces

BOUNDS: list[dict[str, Any]] = [{}, {"max_size": 100}, {"max_bytes": 1000, "size_of": lambda _: 1}]
SIZES: list[Any] = [1, 10, "table"]


class Quarrelsome:
    """A key that cannot be compared with any other of its hash."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise ValueError("cannot be compared")


@dataclass(unsafe_hash=True)
class Name:
    """A key that can be renamed."""

    text: str


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("met", ["waiting", "failed", "delivered"])
def test_a_key_that_cannot_be_compared_is_refused_wherever_it_meets_another(
    met: str,
    bound: dict[str, Any],
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    mapped = buffers.map(**bound)
    mapped.put_newer(1, "good", 5)
    if met == "failed":
        processor.fail(OSError())
    if met != "waiting":
        clock.advance(5.0)
    calls: list[Callable[[], object]] = [
        lambda: mapped.put(Quarrelsome(), "bad"),
        lambda: mapped.put_newer(Quarrelsome(), "bad", 1),
        lambda: mapped.put_all([("innocent", 0), (Quarrelsome(), "bad")]),
        lambda: mapped.get(Quarrelsome()),
        lambda: mapped.delete(Quarrelsome()),
    ]
    for write in calls:
        with pytest.raises(ValueError, match="cannot be compared"):
            write()
    mapped.put("behind", 2)
    clock.advance(10.0)

    assert processor.items == [Entry(1, "good", 5, 0), Entry("behind", 2, 0, 0)]
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.dropped, stats.restarts) == (2, 2, 0, 0)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("size", SIZES)
def test_two_keys_that_cannot_be_compared_hold_up_nobody(
    size: Any, bound: dict[str, Any], buffers: Buffers, clock: FakeClock
) -> None:
    given: list[Any] = []
    mapped = buffers.map(
        processor=lambda batch: given.extend(batch.values() if size == "table" else batch),
        processing_batch_size=size,
        **bound,
    )
    mapped.put("innocent", "x")
    mapped.put(Quarrelsome(), "a")  # there is no other
    with pytest.raises(ValueError, match="cannot be compared"):
        mapped.put(Quarrelsome(), "b")
    mapped.put("other", "y")
    assert mapped.get("innocent") == "x"
    assert mapped.stats().waiting == 3
    clock.advance(5.0)

    assert [entry.value for entry in given] == ["x", "a", "y"]
    assert (mapped.stats().delivered, mapped.stats().restarts) == (3, 0)
    assert mapped.stop().left == ()


@pytest.mark.parametrize("bound", [*BOUNDS, {"max_size": 100, "when_full": "drop_oldest"}])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fails", [False, True])
def test_a_key_that_became_another_is_delivered_once_as_it_is_by_then(
    fails: bool,
    size: Any,
    bound: dict[str, Any],
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    mapped = buffers.map(processing_batch_size=size, **bound)
    renamed = Name("ada")
    mapped.put_newer(renamed, 1, 7)
    mapped.put(Name("other"), 2)
    mapped.stats()
    if fails:
        processor.fail(OSError())
        clock.advance(5.0)
    renamed.text = "grace"
    mapped.put(Name("ada"), 3)  # is what nobody is any more
    mapped.put(Name("grace"), 4)  # has another hash than what was put as "ada"
    clock.advance(15.0)

    delivered = [(entry.key.text, entry.value) for entry in processor.items]
    assert sorted(delivered) == [("ada", 3), ("grace", 1), ("grace", 4), ("other", 2)]
    stats = mapped.stats()
    assert (stats.delivered, stats.held, stats.restarts) == (4, 0, 0)
    assert_balanced(stats)
    mapped.put(Name("third"), 5)
    assert mapped.stop().left == ()
    assert processor.items[-1].value == 5


def test_a_key_that_became_another_can_be_deleted_and_overwritten_by_nobody(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    renamed = Name("ada")
    mapped.put(renamed, 1)
    renamed.text = "grace"
    mapped.delete(Name("ada"))
    mapped.delete(Name("grace"))
    assert mapped.get(renamed) is None
    assert mapped.stats().deleted == 0
    clock.advance(5.0)

    assert processor.items == [Entry(renamed, 1, 0, 0)]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_in_a_tuple_is_asked_no_more_than_a_key(
    size: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=size)
    inner = Name("ada")
    mapped.put((1, ("deep", inner)), "first")
    mapped.put((2, "plain"), "second")
    processor.fail(OSError())
    clock.advance(5.0)
    inner.text = "grace"
    clock.advance(10.0)

    assert [entry.value for entry in processor.items] == ["first", "second"]
    assert (mapped.stats().delivered, mapped.stats().restarts) == (2, 0)
