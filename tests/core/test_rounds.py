"""When lines that feed each other are empty, played with lists."""

from typing import Any

from partitioned_buffer._core.buffer.rounds import Rounds


class Line:
    """Delivers what it holds into *to* when it is flushed: at once, or when *later* says."""

    def __init__(self, key: str, held: int = 0, to: "Line | None" = None) -> None:
        self.key, self.to = key, to
        self.accepted = self.held = held
        self.flushes = 0
        self.down = self.raises = False

    def accept(self, count: int) -> None:
        self.accepted += count
        self.held += count

    def look(self) -> tuple[int, int]:
        if self.raises:
            raise ValueError(self.key)
        return self.accepted, self.held

    def rests(self) -> bool:
        return self.down and self.flushes > 0

    def flush(self) -> None:
        self.flushes += 1
        if not self.down:
            count, self.held = self.held, 0
            if self.to is not None:
                self.to.accept(count)


def looks(lines: Any, most: int = 20) -> int | None:
    """Return after how many looks it is over."""
    rounds = Rounds()
    return next((n for n in range(1, most + 1) if rounds.look(lines)), None)


def test_what_is_empty_is_over_at_the_second_look() -> None:
    assert looks([]) == looks([Line("a"), Line("b")]) == 2


def test_a_chain_is_followed_to_its_end_in_whatever_order() -> None:
    for turn in (1, -1):
        c = Line("c")
        b = Line("b", to=c)
        a = Line("a", 100, to=b)

        assert looks([a, b, c][::turn]) is not None
        assert (a.held, b.held, c.held, c.accepted) == (0, 0, 0, 100)


def test_a_circle_that_comes_to_an_end_is_followed() -> None:
    hops = 5

    class Hop(Line):
        def flush(self) -> None:
            nonlocal hops
            count, self.held = self.held, 0
            hops -= 1
            if hops:
                assert self.to is not None
                self.to.accept(count)

    a, b = Hop("a", 100), Hop("b")
    a.to, b.to = b, a

    assert looks([a, b]) is not None
    assert hops == a.held == b.held == 0


def test_a_circle_without_end_is_never_over() -> None:
    a, b = Line("a", 1), Line("b")
    a.to, b.to = b, a

    assert looks([b, a]) is None


def test_it_is_not_over_when_something_was_accepted_and_delivered_between_two_looks() -> None:
    line, rounds = Line("a"), Rounds()

    assert not rounds.look([line])
    line.accepted += 1
    assert not rounds.look([line])
    assert rounds.look([line])


def test_what_is_down_is_flushed_once_whatever_comes_while_it_waits() -> None:
    line, rounds = Line("a", 1), Rounds()
    line.down = True
    for _ in range(5):
        assert not rounds.look([line])
        line.accept(1)
    assert line.flushes == 1

    line.down = False
    rounds.look([line])
    assert (line.flushes, line.held) == (2, 0)
    assert not rounds.look([line])
    assert rounds.look([line])


def test_what_is_slow_is_not_flushed_again_unless_it_accepts_something() -> None:
    class Slow(Line):
        def flush(self) -> None:
            self.flushes += 1

    line, rounds = Slow("a", 1), Rounds()
    for _ in range(3):
        assert not rounds.look([line])
    assert line.flushes == 1
    line.accept(1)
    rounds.look([line])
    assert line.flushes == 2


def test_one_that_misbehaves_is_left_out() -> None:
    bad, good = Line("bad", 1), Line("good", 1)
    bad.raises = True

    assert looks([bad, good]) is not None
    assert good.held == 0
