"""Who observes a table hears of each write that was made, after its step: dropped ones, too."""

from typing import Any

import pytest
from implementations import opened


def write(table: Any, number: int) -> int:
    made: int = table.push(number) if hasattr(table, "push") else table.put(number, number)
    return made


def write_all(table: Any, numbers: range) -> int:
    if hasattr(table, "push_all"):
        made: int = table.push_all(list(numbers))
    else:
        made = table.put_all([(number, number, None, 0) for number in numbers])
    return made


@pytest.mark.parametrize("kind", ["QueueTable", "MapTable"])
@pytest.mark.parametrize("policy", [None, "block", "raise", "drop_newest", "drop_oldest"])
def test_it_hears_of_each_write_that_is_made(made: Any, kind: str, policy: str | None) -> None:
    table = opened(getattr(made, kind)(policy and made.Room(3, None, policy)))
    heard: list[tuple[object, int]] = []
    table.partition = "seven"
    table.observer = lambda partition: heard.append((partition, table.counts()["accepted"]))

    outcomes = [write(table, number) for number in range(4)]
    many = [write_all(table, range(4, 6)), write_all(table, range(6, 10))]
    table.close()
    late = [write(table, 10), write_all(table, range(11, 13))]

    accepted = [1, 2, 3, 4][: outcomes.count(0)]
    for outcome, size in zip(many, (2, 4), strict=True):
        accepted += [] if outcome else [accepted[-1] + size]
    assert heard == [("seven", count) for count in accepted]
    assert table.counts()["accepted"] == accepted[-1]
    assert all(late)
    assert outcomes.count(0) == (3 if policy in ("block", "raise") else 4)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["QueueTable", "MapTable"])
@pytest.mark.parametrize("policy", [None, "drop_newest"])
def test_what_it_raises_is_not_the_writers(made: Any, kind: str, policy: str | None) -> None:
    def observe(_: object) -> None:
        raise LookupError

    table = opened(getattr(made, kind)(policy and made.Room(1, None, policy)))
    table.observer = observe

    assert [write(table, number) for number in range(3)] == [0, 0, 0]
    assert table.counts()["accepted"] == 3
