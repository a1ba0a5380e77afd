"""What becomes of batches of a stored Map is what becomes of those of any Map."""

import random
from functools import partial
from typing import Any

import pytest
from maplogs import DELETE, NEWER, PUT, Log, opened
from partitioned_buffer._core.backing.map.table import StoredMapTable

from partitioned_buffer import PartialFailure, Reject, Retry
from partitioned_buffer._core.policy.deliver import deliver
from partitioned_buffer._core.policy.effects import FLUSH, DeadLetter, Find, Process, Wait
from partitioned_buffer._core.policy.front import Front
from partitioned_buffer._core.policy.trial import Trial


class Life:
    """Cycles of a worker whose processor fails as a seed says, while somebody writes."""

    def __init__(self, seed: int, table: Any, log: Log | None) -> None:
        self.random, self.table, self.log = random.Random(seed), table, log
        self.front, self.now, self.said = Front(keyed=True), 0.0, list[Any]()

    def write(self) -> None:
        for _ in range(self.random.randrange(4)):
            key, value = f"key {self.random.randrange(9)}", self.random.randrange(99)
            version = self.random.choice([None, self.random.randrange(50)])
            deletes = self.random.random() < 0.1
            if self.log is None:
                self.table.delete(key) if deletes else self.table.put(key, value, version)
            elif deletes:
                self.log.land(self.table, (DELETE, key))
            else:
                kind = PUT if version is None else NEWER
                self.log.land(self.table, (kind, key, value, version))

    def settle(self) -> None:
        if self.log is not None:
            self.log.settle(self.table)

    def cycle(self) -> None:
        self.write()
        self.table.swap()
        trial = Trial(self.table, Retry(attempts=3), self.front, lambda: self.now)
        effects, outcome = deliver(trial, partial(self.table.take, 4), 4), None
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration:
                break
            finally:
                self.settle()
            outcome = self.answer(effect)

    def answer(self, effect: Any) -> Any:
        if isinstance(effect, Find):
            return effect.names()
        if isinstance(effect, DeadLetter):
            self.said.append(("given up", effect.items))
            return None
        self.write()
        if isinstance(effect, Wait):
            self.now += effect.seconds
            return FLUSH
        assert isinstance(effect, Process)
        self.said.append(list(effect.batch))
        errors = [None] * 4 + [ValueError(), ValueError(), Reject()]
        return self.random.choice([*errors, PartialFailure([effect.batch[0]])])


@pytest.mark.parametrize("seed", range(40))
def test_batches_fail_and_are_given_up_as_of_any_map(made: Any, seed: int) -> None:
    table = made.MapTable(None, None, 3)
    table.open(lambda: None, None)
    lives = [
        Life(seed, table, None),
        Life(seed, opened(StoredMapTable, remember=3, made=made), Log()),
    ]
    for life in lives:
        for _ in range(12):
            life.cycle()

    plain, stored = lives
    assert stored.said == plain.said
    assert stored.table.held() == plain.table.held()
    assert stored.table.counts() == plain.table.counts()
