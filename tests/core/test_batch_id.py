"""What tells a batch from all others: the same items have the same id."""

from typing import Any

import pytest

from partitioned_buffer import (
    BatchId,
    Entry,
    Map,
    PartialFailure,
    Queue,
    Retry,
    Split,
    WrongThread,
    batch_id,
)

SOON = Retry(attempts=5, wait_initial=0.001, wait_max=0.001)


class Asking:
    """A processor that notes the id of each call, and fails as it is told."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.failures = list(failures)
        self.calls: list[tuple[BatchId, list[Any]]] = []

    def __call__(self, batch: list[Any]) -> None:
        self.calls.append((batch_id(), list(batch)))
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure


def test_batches_have_ids_of_their_own() -> None:
    save = Asking()
    with Queue("ids", save, partitions=1, processing_batch_size=2) as queue:
        queue.push_all(range(5))

    ids = [identity for identity, _ in save.calls]
    assert len(set(ids)) == 3
    assert [(each.buffer, each.partition, each.size) for each in ids] == [
        ("ids", 0, 2),
        ("ids", 0, 2),
        ("ids", 0, 1),
    ]


def test_a_retry_of_the_same_items_has_the_same_id() -> None:
    save = Asking(OSError(), OSError())
    with Queue("again", save, partitions=1, retry=SOON) as queue:
        queue.push_all(["a", "b"])

    first, second, third = save.calls
    assert first == second == third


def test_a_part_has_an_id_of_its_own() -> None:
    save = Asking(PartialFailure(retry=["b"]))
    with Queue("part", save, partitions=1, retry=SOON) as queue:
        queue.push_all(["a", "b", "c"])

    (whole, _), (part, items) = save.calls
    assert items == ["b"]
    assert part != whole
    assert part.size == 1


def test_halves_have_ids_of_their_own() -> None:
    save = Asking(Split())
    with Queue("halves", save, partitions=1, retry=SOON) as queue:
        queue.push_all(["a", "b", "c", "d"])

    assert len({identity for identity, _ in save.calls}) == len(save.calls) >= 3


def test_another_buffer_is_another_store() -> None:
    ids = []
    for _ in range(2):
        save = Asking()
        with Queue("run", save, partitions=1) as queue:
            queue.push(1)
        ids.append(save.calls[0][0])

    assert ids[0].store != ids[1].store


def test_what_is_written_over_is_another_batch() -> None:
    def save(batch: list[Entry[str, int]]) -> None:
        seen.append((batch_id(), batch))
        if len(seen) == 1:
            table.put("key", 2)
            raise OSError

    seen: list[tuple[BatchId, list[Entry[str, int]]]] = []
    with Map("over", save, retry=SOON, partitions=1) as table:
        table.put("key", 1)
        table.flush(10)

    (before, old), (after, new) = seen
    assert (old, new) == ([Entry("key", 1, 0, 0)], [Entry("key", 2, 0, 0)])
    assert before != after


def test_nobody_else_has_one() -> None:
    with pytest.raises(WrongThread, match="processor"):
        batch_id()


def test_items_of_a_class_called_as_ours_are_items() -> None:
    save = Asking(OSError())
    with Queue("named", save, partitions=1, retry=SOON) as queue:
        queue.push(type("Entry", (), {})())
        queue.flush(10)

    assert save.calls[0] == save.calls[1]
