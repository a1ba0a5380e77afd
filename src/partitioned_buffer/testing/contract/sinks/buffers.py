"""A sink in a Queue and in a Map, from end to end; the ledger is checked at the end of each."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from .... import Entry
from .base import Base
from .using import Use

MANY = 200


class Buffers(Base):
    """What is accepted gets there, whatever comes between."""

    def test_a_queue_delivers_all_in_order(self, tmp_path: Path) -> None:
        def script(queue: Any) -> Generator[float]:
            queue.push_all(self.items(*range(25)))
            yield 5.0
            queue.push_all(self.items(*range(25, 40)))

        with self.used(tmp_path) as use:
            done = use.in_buffer("queue", script)
        assert (done.stats.delivered, done.dead.items) == (40, [])
        found = self.all_found(tmp_path) if "order" in self.cannot else self.found(tmp_path)
        assert found == self.rows(*range(40))

    def test_several_partitions_deliver_at_once(self, tmp_path: Path) -> None:
        def script(queue: Any) -> Generator[float]:
            for number in range(MANY):
                queue.push(self.item(number))
            yield 5.0

        with self.used(tmp_path) as use:
            done = use.in_buffer("queue", script, partitions=4)
        assert (done.stats.delivered, done.dead.items) == (MANY, [])
        assert self.all_found(tmp_path) == self.rows(*range(MANY))

    def test_an_outage_costs_nothing(self, tmp_path: Path) -> None:
        self.needs("outage")

        def script(queue: Any) -> Generator[float]:
            queue.push_all(self.items(*range(20)))
            with self.outage(tmp_path):
                yield 5.0
                assert queue.size() == 20, "all of it is held"
                assert queue.stats().dead_lettered == 0, "nothing is given up"
            yield 3600.0

        with self.used(tmp_path) as use:
            done = use.in_buffer("queue", script)
        assert (done.stats.delivered, done.dead.items) == (20, [])
        assert self.all_found(tmp_path) == self.rows(*range(20))

    def test_what_is_too_large_gets_there_in_parts(self, tmp_path: Path) -> None:
        self.needs("too_large")

        def script(queue: Any) -> Generator[float]:
            queue.push_all(self.items(*range(50)))
            yield 5.0

        with self.used(tmp_path) as use, self.too_large(tmp_path):
            done = use.in_buffer("queue", script, processing_batch_size=50)
        assert (done.stats.delivered, done.dead.items) == (50, [])
        assert self.all_found(tmp_path) == self.rows(*range(50))

    def test_what_is_throttled_gets_there_later(self, tmp_path: Path) -> None:
        self.needs("throttled")

        def script(queue: Any) -> Generator[float]:
            queue.push_all(self.items(*range(5)))
            with self.throttled(tmp_path):
                yield 5.0
            yield 60.0 + self.seconds

        with self.used(tmp_path) as use:
            done = use.in_buffer("queue", script)
        assert (done.stats.delivered, done.dead.items) == (5, [])
        assert self.all_found(tmp_path) == self.rows(*range(5))

    # --- Maps

    def test_a_map_delivers_the_last_value_of_each_key(self, tmp_path: Path) -> None:
        self.needs("map")

        def script(mapped: Any) -> Generator[float]:
            for number in range(30):
                mapped.put(number, self.item(number, "too old"))
                mapped.put(number, self.item(number))
            yield 5.0

        with Use(self.make_for_map(tmp_path)) as use:
            done = use.in_buffer("map", script)
        assert (done.stats.delivered, done.dead.items) == (30, [])
        assert self.all_found(tmp_path) == self.rows(*range(30))

    def test_so_it_does_as_a_whole_table(self, tmp_path: Path) -> None:
        self.needs("map")

        def script(mapped: Any) -> Generator[float]:
            mapped.put_all({number: self.item(number) for number in range(30)})
            yield 5.0

        with Use(self.make_for_map(tmp_path)) as use:
            done = use.in_buffer("map", script, processing_batch_size="table")
        assert (done.stats.delivered, done.dead.items) == (30, [])
        assert self.all_found(tmp_path) == self.rows(*range(30))

    def test_what_is_newer_wins_in_the_destination_too(self, tmp_path: Path) -> None:
        self.needs("map", "versions")
        with Use(self.make_for_map(tmp_path)) as use:
            for position, version in enumerate((5, 7, 7, 3)):  # of processes that know no others
                value = self.item(1, f"version {version}")
                assert use.give([Entry(1, value, version, 0)], position=position) is None
            assert self.found(tmp_path) == [(1, "version 7")]
            later = [Entry(n, self.item(n, f"version {8 - n}"), 8 - n, 0) for n in (0, 1)]
            assert use.give(later, position=9) is None
            assert self.all_found(tmp_path) == [(0, "version 8"), (1, "version 7")]
