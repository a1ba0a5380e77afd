"""
Programs that share two Maps on a server: of the newest of each key, and of sums.

As those of `sharers`, of which they are told in the same words. Versions are moments, some of them
long past, so all producers race for each key; what is added up is one for each write. Beside, each
writer puts and deletes a key of its own.
"""

import asyncio
import json
import operator
import os
import random
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from histories import ACKNOWLEDGED, BEGUN, PUSHED, Batch, Diary, Item
from map_histories import SUMS
from sharers import Ended, Options, say_ready, shared_options

from partitioned_buffer import AsyncMap, Entry, Map, batch_id, fencing_token

KEYS, SUMMED = 400, 40


def names(told: Options) -> tuple[str, str]:
    """Return those of both Maps."""
    return told.name, f"{told.name}-sums"


class Maps:
    """Both, of a program in threads or in tasks."""

    def __init__(self, told: Options, kind: Any, *processors: Any) -> None:
        (newest, sums), options = names(told), shared_options(told)
        first, second = processors or (None, None)
        self.newest = kind(newest, first, **options)
        self.sums = kind(sums, second, **options, merge=operator.add)
        self.both = self.newest, self.sums


# --- workers -------------------------------------------------------------------


class MapDiary(Diary):
    """Of a worker: what is told apart by who has its partition, and by nothing else."""

    def given_entries(self, entries: Sequence[Entry[Any, Any]], *, sums: bool) -> Batch:
        """Say that the processor was given these; return as what."""
        made = batch_id()
        generation = int(made.store.split("-")[-2])
        batch = Batch(generation, *made[2:], fencing_token())
        items = [of_entry(entry, sums=sums) for entry in entries]
        self.write(BEGUN, items, batch)
        return batch


def of_entry(entry: Entry[Any, Any], *, sums: bool) -> Item:
    if sums:
        return Item(SUMS, entry.key, entry.value)
    if not isinstance(entry.key, int):
        return Item(0, KEYS, 0)
    assert entry.value == entry.version, entry
    return Item(0, entry.key, entry.version)


def worker(told: Options, diary: MapDiary, ended: Ended) -> None:
    def processor(sums: bool) -> Any:
        def process(batch: list[Any]) -> None:
            given = diary.given_entries(batch, sums=sums)
            time.sleep(told.nap)
            diary.done(given)

        return process

    maps = Maps(told, Map, processor(False), processor(True))
    for each in maps.both:
        each.start()
    say_ready(told)
    while not ended.is_so:
        time.sleep(0.01)
    for each in maps.both:
        each.stop(timeout=told.patience)


async def worker_of_tasks(told: Options, diary: MapDiary, ended: Ended) -> None:
    def processor(sums: bool) -> Any:
        async def process(batch: list[Any]) -> None:
            given = diary.given_entries(batch, sums=sums)
            await asyncio.sleep(told.nap)
            diary.done(given)

        return process

    maps = Maps(told, AsyncMap, processor(False), processor(True))
    async with maps.newest, maps.sums:
        say_ready(told)
        while not ended.is_so:  # noqa: ASYNC110  # a signal handler says so
            await asyncio.sleep(0.01)
        for each in maps.both:
            await each.stop(timeout=told.patience)


# --- producers -----------------------------------------------------------------


class Writer:
    """Makes writes."""

    def __init__(self, told: Options, place: int) -> None:
        self._told, self._place = told, place
        self._random = random.Random(os.getpid() * 100 + place)
        self.own = f"own-{os.getpid()}-{place}"
        self.count = 0  # of writes of its own key

    def newest(self) -> list[Item]:
        """Return what is to be put if it is newer: one, or some; no two have one version."""
        many = self._random.choice((1, 1, self._told.many))
        return [Item(0, self._random.randrange(KEYS), self._version()) for _ in range(many)]

    def _version(self) -> int:
        past = self._random.choice((0, 0, 0, 10**6, 10**8))  # so many nanoseconds
        return (time.monotonic_ns() - past) * 64 + self._place + 8 * (os.getpid() % 8)

    def sums(self) -> list[Item]:
        """Return what is to be added: ones."""
        many = self._random.choice((1, 1, self._told.many))
        return [Item(SUMS, self._random.randrange(SUMMED), 1) for _ in range(many)]

    @property
    def pause(self) -> float:
        return self._random.random() * 2 * self._told.pace


def producer(told: Options, diary: Diary, ended: Ended) -> None:
    maps, counts = Maps(told, Map), list[int]()
    for each in maps.both:
        each.start()
    say_ready(told)

    def write(place: int) -> None:
        writer = Writer(told, place)
        while not ended.is_so:
            newest, sums = writer.newest(), writer.sums()
            diary.write(PUSHED, [*newest, *sums])
            if len(newest) == 1:
                maps.newest.put_newer(newest[0].key, newest[0].number, newest[0].number)
            else:
                maps.newest.put_all_newer([(item.key, item.number, item.number) for item in newest])
            if len(sums) == 1:
                maps.sums.put(sums[0].key, 1)
            else:
                maps.sums.put_all([(item.key, 1) for item in sums])
            diary.write(ACKNOWLEDGED, [*newest, *sums])
            if writer._random.random() < 0.1:
                maps.newest.put(writer.own, 1)
                writer.count += 1
                maps.newest.delete(writer.own)
            time.sleep(writer.pause)
        counts.append(writer.count)

    threads = [threading.Thread(target=write, args=[place]) for place in range(told.writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reports = [each.stop(timeout=told.patience) for each in maps.both]
    _say(told, maps, reports, sum(counts))


async def producer_of_tasks(told: Options, diary: Diary, ended: Ended) -> None:
    maps, counts = Maps(told, AsyncMap), list[int]()

    async def write(place: int) -> None:
        writer = Writer(told, place)
        while not ended.is_so:
            newest, sums = writer.newest(), writer.sums()
            diary.write(PUSHED, [*newest, *sums])
            await maps.newest.put_all_newer(
                [(item.key, item.number, item.number) for item in newest]
            )
            await maps.sums.put_all([(item.key, 1) for item in sums])
            diary.write(ACKNOWLEDGED, [*newest, *sums])
            if writer._random.random() < 0.1:
                await maps.newest.put(writer.own, 1)
                writer.count += 1
                await maps.newest.delete(writer.own)
            await asyncio.sleep(writer.pause)
        counts.append(writer.count)

    async with maps.newest, maps.sums:
        say_ready(told)
        async with asyncio.TaskGroup() as group:
            for place in range(told.writers):
                group.create_task(write(place))
        reports = [await each.stop(timeout=told.patience) for each in maps.both]
    _say(told, maps, reports, sum(counts))


def _say(told: Options, maps: Maps, reports: Sequence[Any], own: int) -> None:
    assert not any(list(report.left) for report in reports), reports
    shared = [each.stats().shared for each in maps.both]
    said = {
        "pid": os.getpid(),
        "gaps": sum(each.gaps for each in shared),
        "lost": sum(each.lost for each in shared),
        "own": own,
    }
    Path(told.folder).with_suffix(f".{os.getpid()}.json").write_text(json.dumps(said))


ROLES: dict[tuple[str, str], Any] = {
    ("worker", "threads"): worker,
    ("worker", "tasks"): worker_of_tasks,
    ("producer", "threads"): producer,
    ("producer", "tasks"): producer_of_tasks,
}


def main(said: str) -> None:
    told = Options(**json.loads(said))
    ended, diary = Ended(), MapDiary(Path(told.folder), told.role)
    running: Coroutine[Any, Any, None] | None = ROLES[told.role, told.face](told, diary, ended)
    if running is not None:
        asyncio.run(running)


if __name__ == "__main__":
    main(*sys.argv[1:])
