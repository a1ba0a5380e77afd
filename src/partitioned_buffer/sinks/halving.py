"""
How a destination that refuses a batch, and does not say for which row, is asked for it.

By steps that do no I/O, for threads and tasks alike:

    search = find_bad(len(rows), error)     # all of them, together, were refused with *error*
    part = next(search)                     # a range: try these
    part = search.send(None)                # they went through; send the error if they did not
    ...                                     # StopIteration: its value is what is bad, and why
"""

from collections.abc import Callable, Generator

from .rows import bare

Bad = dict[int, BaseException]
"""By the number of the row, why it is refused."""

Search = Generator[range, BaseException | None, Bad]


Named = Callable[[BaseException], int | None]
"""Which of the rows that were tried an error is of, by its number among them, if it says that."""


def find_bad(count: int, error: BaseException, named: Named = lambda _: None) -> Search:
    """Yield parts to try, in order; return what is bad. The others have gone through then."""
    return (yield from _within(range(count), error, named))


def _within(part: range, error: BaseException, named: Named) -> Search:
    place = 0 if len(part) == 1 else named(error)
    bad = Bad()
    if place is not None and 0 <= place < len(part):
        bad[part[place]] = bare(error)
        # What is behind it in halves: if all are bad, each costs a few, and not all behind it.
        parts = part[:place], *_halves(part[place + 1 :])
    else:
        parts = _halves(part)
    for each in filter(len, parts):
        said = yield each
        if said is not None:
            bad |= yield from _within(each, said, named)
    return bad


def _halves(part: range) -> tuple[range, ...]:
    return part[: len(part) // 2], part[len(part) // 2 :]


def bad_of(search: Search, attempt: Callable[[range], BaseException | None]) -> Bad:
    """Return what a *search* finds, where an *attempt* returns why a part was refused."""
    said: BaseException | None = None
    try:
        part = next(search)
        while True:
            said = attempt(part)
            part = search.send(said)
    except StopIteration as end:
        found: Bad = end.value
        return found
