"""The delivery policy, driven by hand: no thread, no clock, every outcome a literal."""

from partitioned_buffer._delivery import Process, deliver


class InFlight:
    def __init__(self, *items: int) -> None:
        self.items = list(items)
        self.taken = 0

    def take(self, size: int | None, /) -> list[int] | None:
        batch = self.items[:size]
        self.taken = len(batch)
        return batch or None

    def acknowledge(self) -> None:
        del self.items[: self.taken]
        self.taken = 0

    def release(self) -> None:
        self.taken = 0


def run(in_flight: InFlight, size: int | None, *outcomes: BaseException | None) -> object:
    """Send *outcomes*; return the effects, then what the generator returned."""
    steps = deliver(in_flight, size)
    effects, answers = [], iter(outcomes)
    try:
        effects.append(next(steps))
        while True:
            effects.append(steps.send(next(answers)))
    except StopIteration as end:
        return effects, end.value


def test_all_is_delivered_in_batches() -> None:
    in_flight = InFlight(1, 2, 3)

    assert run(in_flight, 2, None, None) == ([Process([1, 2]), Process([3])], None)
    assert in_flight.items == []


def test_the_whole_table_is_one_batch() -> None:
    assert run(InFlight(1, 2, 3), None, None) == ([Process([1, 2, 3])], None)


def test_nothing_in_flight_is_no_effect() -> None:
    assert run(InFlight(), 2) == ([], None)


def test_a_failure_ends_it_and_the_batch_stays() -> None:
    in_flight, error = InFlight(1, 2, 3), OSError()

    assert run(in_flight, 1, None, error) == ([Process([1]), Process([2])], error)
    assert in_flight.items == [2, 3]
    assert in_flight.taken == 0
