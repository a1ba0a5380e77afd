"""
A Map's failures, call by call: newer values put at any instant, calls cut short, new lives.

Hypothesis says what happens next; the newest value of each key has to be somewhere at the end,
and what is dead-lettered is what was tried.
"""

from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioned_buffer import Entry, Retry
from partitioned_buffer._core.policy.deliver import deliver
from partitioned_buffer._core.policy.effects import CutShort, DeadLetter, Process, Wait
from partitioned_buffer._core.policy.front import Front
from partitioned_buffer._core.policy.trial import Trial
from partitioned_buffer._core.tables.implementation import MapTable

ENDS = st.sampled_from(["full", "full", "full", "news", "flush", "stop"])


class World:
    """One partition of a Map, driven by hand; a value is its number, and whether it is bad."""

    def __init__(self, data: st.DataObject, size: int | None, *, split: bool) -> None:
        self.data, self.size, self.now = data, size, 0.0
        self.retry = Retry(split=split, jitter=0.0)
        self.table, self.front = MapTable(), Front(keyed=True)
        self.table.open(lambda: None, None)
        self.last: dict[int, tuple[int, bool]] = {}
        self.delivered: list[Entry[int, Any]] = []
        self.dead: list[Entry[int, Any]] = []
        self.tried: set[tuple[int, Any]] = set()
        self.puts = 0
        self.down_until = data.draw(st.sampled_from([0.0, 3.0, 300.0]))

    def put(self) -> None:
        key, bad = self.data.draw(st.integers(0, 5)), self.data.draw(st.integers(0, 3)) == 0
        self.puts += 1
        self.last[key] = (self.puts, bad)
        self.table.put(key, self.last[key])

    def live(self, steps: int) -> None:
        """Deliver for so many steps, or until all is settled."""
        while steps > 0 and self.table.swap():
            trial = Trial(self.table, self.retry, self.front, lambda: self.now)
            effects, outcome = deliver(trial, lambda: self.table.take(self.size), self.size), None
            for effect in iter(lambda: self._next(effects, outcome), None):
                steps -= 1
                if steps <= 0:
                    effects.close()
                    self.table.release()
                    self.front.hand = []
                    return
                if steps > 20 and self.data.draw(st.integers(0, 3)) == 0:
                    self.put()
                outcome = self._do(effect)

    @staticmethod
    def _next(effects: Any, outcome: Any) -> Any:
        try:
            return effects.send(outcome)
        except StopIteration:
            return None

    def _do(self, effect: Any) -> Any:
        if isinstance(effect, Process):
            return self._process(effect.batch)
        if isinstance(effect, Wait):
            self.now += effect.seconds
            return self.data.draw(ENDS)
        assert isinstance(effect, DeadLetter)
        assert effect.attempts >= 1
        for entry in effect.items:
            assert (entry.key, entry.value) in self.tried, "what was tried"
            if self.retry.split:
                assert entry.value[1] or self.down_until, "an innocent"
        self.dead += effect.items
        return None

    def _process(self, batch: list[Entry[int, Any]]) -> BaseException | None:
        self.now += 0.001
        self.tried |= {(entry.key, entry.value) for entry in batch}
        if self.data.draw(st.integers(0, 9)) == 0:
            return CutShort()
        if self.now < self.down_until:
            return OSError("down")
        if any(entry.value[1] for entry in batch):
            return ValueError("bad")
        self.delivered += batch
        return None


@settings(max_examples=rounds(600, least=60), deadline=None)
@given(st.data(), st.sampled_from([1, 2, 5, None]), st.booleans())
def test_the_newest_value_of_each_key_is_somewhere_and_none_goes_backwards(
    data: st.DataObject, size: int | None, split: bool
) -> None:
    world = World(data, size, split=split)
    for _ in range(data.draw(st.integers(1, 8))):
        world.put()
    world.live(60)
    world.put()
    world.live(60)

    somewhere = [*world.delivered, *world.dead, *world.table.held()]
    for key, value in world.last.items():
        assert (key, value) in [(entry.key, entry.value) for entry in somewhere]
        numbers = [entry.value[0] for entry in world.delivered if entry.key == key]
        assert numbers == sorted(numbers)
    counts = world.table.counts()
    assert counts["delivered"] == len(world.delivered)
    assert counts["dead_lettered"] == len(world.dead)


def test_a_newer_value_that_came_in_the_way_of_a_verdict_is_tried() -> None:
    table, front = MapTable(), Front(keyed=True)
    table.open(lambda: None, None)
    table.put("a", "old")
    table.put("b", 1)
    table.swap()
    table.swap()  # a new life: what is in flight is left over, and newer values go over it
    effects = deliver(Trial(table, Retry(jitter=0.0), front, lambda: 0.0), lambda: table.take(1), 1)
    effect, bad = next(effects), ValueError("bad")
    for _ in range(8):
        effect = effects.send(bad if isinstance(effect, Process) else "full")
        if isinstance(effect, Wait):
            effect = effects.send("full")
    assert isinstance(effect, Process)
    assert front.strikes == 8, "the hand, once more"
    table.put("a", "new")
    effect = effects.send(bad)
    assert isinstance(effect, Process)
    assert effect.batch == [Entry("b", 1, 0, 0)], "the probe"

    effect = effects.send(None)

    while isinstance(effect, Wait):
        effect = effects.send("full")
    assert isinstance(effect, Process)
    assert effect.batch == [Entry("a", "new", 0, 0)]
    assert table.counts()["dead_lettered"] == 0
