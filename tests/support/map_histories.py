"""
What may not be where processes share a Map of versions, and one of sums: see `histories`.

An item is a key with a version, or, of the producer `SUMS`, with what was added to it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import histories
from histories import Call, History, Item

SUMS = 1
"""The producer of what is added up."""


def versions(items: Iterable[Item]) -> Iterator[Item]:
    """Yield those that have a version."""
    return (item for item in items if item.producer != SUMS and item.number)


def sums(items: Iterable[Item]) -> Counter[int]:
    """Return what each key comes to."""
    total = Counter[int]()
    for item in items:
        if item.producer == SUMS:
            total[item.key] += item.number
    return total


def newest(items: Iterable[Item]) -> dict[int, int]:
    """Return the newest version of each key."""
    found = dict[int, int]()
    for item in versions(items):
        found[item.key] = max(found.get(item.key, item.number), item.number)
    return found


def delivered(history: History) -> list[Item]:
    """Return what has arrived, in the order in which calls ended."""
    ended = [call for call in history.calls if call.ended is not None]
    return [item for call in sorted(ended, key=lambda call: call.ended or 0) for item in call.items]


def missing(history: History) -> dict[int, int]:
    """Return of which keys what is newest has not arrived."""
    there = newest(delivered(history))
    wanted = newest(history.acknowledged)
    return {key: version for key, version in wanted.items() if there.get(key, -1) < version}


class Back(NamedTuple):
    """A key that went back at the destination, from a version to an older one."""

    item: Item
    was: int
    call: Call


def back(history: History, *, fenced: bool = False) -> list[Back]:
    """Return those; a destination that is *fenced* takes nothing under a token that is stale."""
    found, seen, tokens = list[Back](), dict[int, int](), dict[tuple[int, int], int]()
    ended = [call for call in history.calls if call.ended is not None]
    for call in sorted(ended, key=lambda call: call.ended or 0):
        where, token = (call.items[0].producer, call.batch.partition), call.batch.token
        if fenced and token < tokens.get(where, 0):
            continue
        tokens[where] = max(token, tokens.get(where, 0))
        for item in versions(call.items):
            if item.number < seen.get(item.key, item.number):
                found.append(Back(item, seen[item.key], call))
            seen[item.key] = item.number
    return found


def of_versions(history: History) -> History:
    """Return what is said in it of versions alone."""
    calls = [call for call in history.calls if not any(i.producer == SUMS for i in call.items)]
    return History(list(versions(history.pushed)), list(versions(history.acknowledged)), calls)


def repeats(history: History) -> list[histories.Repeat]:
    """Return which versions were given to processors more than once."""
    found = Counter[tuple[tuple[int, int], int, int]]()
    given = dict[Item, Call]()
    for call in of_versions(history).calls:
        for item in versions(call.items):
            if (before := given.get(item)) is not None:
                found[call.batch.where, call.batch.token, before.worker] += 1
            given[item] = call
    return [histories.Repeat(*key, count) for key, count in found.items()]


def check(
    history: History,
    *,
    window: int,
    killed: Collection[int] = (),
    asleep: Collection[int] = (),
    away: bool = False,
) -> None:
    """Fail if two Maps may not behave like that: see `histories.check`."""
    lost = missing(history)
    assert not lost, f"the newest of {len(lost)} keys is missing: {list(lost.items())[:5]}"
    gone = {*killed, *asleep}
    strange = set(versions(delivered(history))) - set(history.pushed)
    assert not strange, f"never put: {sorted(strange)[:5]}"
    for repeat in repeats(history):
        assert away or repeat.worker in gone, f"twice, and nobody was killed: {repeat}"
        assert repeat.items <= window, f"more than a window: {repeat}"
    assert not back(history, fenced=True), f"went back: {back(history, fenced=True)[:1]}"
    by = Counter(each.call.worker for each in back(history))
    assert by.keys() <= set(asleep), f"went back, and nobody slept: {back(history)[:1]}"
    _check_sums(history, exactly=not (gone or away))


def _check_sums(history: History, *, exactly: bool) -> None:
    there, least = sums(delivered(history)), sums(history.acknowledged)
    most = sums(history.pushed)
    short = {key: (there[key], count) for key, count in least.items() if there[key] < count}
    assert not short, f"added less than was acknowledged: {list(short.items())[:5]}"
    if exactly:
        over = {key: (count, most[key]) for key, count in there.items() if count > most[key]}
        assert not over, f"added more than was put: {list(over.items())[:5]}"
