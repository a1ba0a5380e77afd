"""Every call of a table, with something of everything in it; and what is wrong after one."""

import operator
import threading
from collections.abc import Callable
from typing import Any

from implementations import Key, balanced, opened

__all__ = ["CASES", "WORKER", "Subject", "heavier"]


class Subject:
    """A table or two, some of it in flight, some in hand; and who writes."""

    def __init__(self, made: Any, kind: str, setup: str = "", **how: Any) -> None:
        bounds, when_full = how.pop("bounds", (60, 900)), how.pop("when_full", "block")
        self.room = made.Room(*bounds, when_full) if bounds else None
        self.kind, self.merges = kind, "merge" in how
        self.weight = int(bool(bounds and bounds[1]))
        self.table = opened(getattr(made, f"{kind}Table")(self.room, **how), 5)
        self.writer = getattr(made, f"{kind}Writer")()
        self.late: list[Any] = []
        self.writer._equip(
            (self.table,),
            True if kind == "Queue" else (self.table,) * 3,
            lambda *_: self.table,
            None,
            lambda *unmade: self.late.append(unmade),
        )
        self.setup = setup
        self.set_up(setup, bounds)

    def set_up(self, setup: str, bounds: Any) -> None:
        for number in range(1, 9):
            self.write(number, number if number % 2 else None)
        if "foreign" in setup:
            for number in range(4):
                self.table.put(Key(number), number, None, 1)
        if "flying" in setup:
            self.table.swap()
            for number in (1, 2, 3, 20):
                self.write(number, number + 1)
        if "hand" in setup:
            self.table.take(3)
        if "kept" in setup:
            self.table.keep({0, 1})
        while "full" in setup and len(self.table) < bounds[0]:
            self.write(100 + len(self.table), None)

    def write(self, number: int, version: int | None) -> int:
        if self.kind == "Queue":
            return int(self.table.push(number, self.weight))
        version = None if self.merges else version
        return int(self.table.put(number, number, version, self.weight))

    def write_more(self) -> None:
        """What a handler does."""
        if self.kind == "Queue":
            self.table.push("handler", self.weight)
        else:
            for key in (1, 5, 99, 3):
                self.table.put(key, 7, None if self.merges else 300, self.weight)
            if "plain" not in self.setup:
                self.table.put(Key(2), 7, None, self.weight)
            self.table.get(5)
            self.table.delete(2)
            self.table.delete(7)
        self.table.counts()

    def trouble(self) -> str | None:
        """Say what is wrong, if anything is; in the end deliver all."""
        table, room = self.table, self.room
        if not self.is_free():
            return "a lock is held"
        counts = table.counts()
        if not balanced(table):
            return f"the ledger: {counts}"
        if room is not None and (room.used, room.used_bytes) != room.recount():
            return f"the room: {room.used, room.used_bytes} for {room.recount()}"
        if len(table.held()) != counts["waiting"] + counts["in_flight"]:
            return "what is held"
        table.release()
        for _ in range(100):
            while table.take(4):
                pass
            if not table.swap():
                break
        if len(table) or not balanced(table) or (room is not None and room.used):
            return f"cannot be delivered: {table.counts()}"
        return None

    def is_free(self) -> bool:
        """Return whether another thread can do something."""
        thread = threading.Thread(target=self.table.counts, daemon=True)
        thread.start()
        thread.join(2)
        return not thread.is_alive()


def heavier(value: Any) -> int:
    return int(value) % 9


FLYING, HAND, KEPT = "flying", "flying hand", "flying hand kept"
QUEUE: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any]]] = {
    "push": ("", {}, lambda s: s.writer.push(7)),
    "push with a key": ("", {}, lambda s: s.writer.push(7, partition_key=1)),
    "push, unbounded": ("", {"bounds": None}, lambda s: s.writer.push(7)),
    "try_push": ("", {}, lambda s: s.writer._try_push(7, None)),
    "table.push": (FLYING, {}, lambda s: s.table.push(7, 3)),
    "push, full": ("full", {"bounds": (9, None)}, lambda s: s.writer.push(7)),
    **{
        f"push, full: {policy}": (
            "full",
            {"bounds": (9, None), "when_full": policy},
            lambda s: s.writer.push(7),
        )
        for policy in ("raise", "drop_newest", "drop_oldest")
    },
    "push_all": (FLYING, {}, lambda s: s.table.push_all([1, 2, 3], [1, 2, 3])),
    "open": ("", {}, lambda s: s.table.open(lambda: None, 3)),
}
MAP: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any]]] = {
    "put new": (FLYING, {}, lambda s: s.writer.put(99, 1)),
    "put known": (FLYING, {}, lambda s: s.writer.put(1, 1)),
    "put, unbounded": (FLYING, {"bounds": None}, lambda s: s.writer.put(1, 1)),
    "put heavier": (FLYING, {}, lambda s: s.table.put(1, 1, None, 9)),
    "try_put": (FLYING, {}, lambda s: s.writer._try_put(1, 1, 50, None)),
    "put_newer wins": (FLYING, {}, lambda s: s.writer.put_newer(1, 1, 50)),
    "put_newer stale": (FLYING, {}, lambda s: s.writer.put_newer(1, 1, 0)),
    "put_newer over what flies": (FLYING, {}, lambda s: s.writer.put_newer(5, 1, 50)),
    "put foreign new": ("foreign flying", {}, lambda s: s.writer.put(Key(9), 1)),
    "put foreign known": ("foreign flying", {}, lambda s: s.writer.put(Key(2), 1)),
    "put the first foreign": (FLYING, {}, lambda s: s.writer.put(Key(2), 1)),
    "put merged": (
        FLYING,
        {"merge": operator.add, "weigh": heavier},
        lambda s: s.table.put(1, 4, None, 4),
    ),
    "put_all": (
        "foreign flying",
        {},
        lambda s: s.table.put_all([(1, 1, 9, 1), (Key(2), 1, None, 2), (77, 1, None, 3)]),
    ),
    "put_all, plain": (
        "plain flying",
        {},
        lambda s: s.table.put_all([(1, 1, 9, 1), (99, 1, None, 3)]),
    ),
    "needs": (FLYING, {}, lambda s: s.table.needs([(1, 1, 9, 1), (77, 1, None, 3)])),
    **{
        f"put, full: {policy}": (
            "full",
            {"bounds": (9, None), "when_full": policy},
            lambda s: s.writer.put(70, 7),
        )
        for policy in ("block", "raise", "drop_newest", "drop_oldest")
    },
    "put known, drop_oldest": (
        "full",
        {"bounds": (9, None), "when_full": "drop_oldest"},
        lambda s: s.writer.put(2, 7),
    ),
    "get": (FLYING, {}, lambda s: s.writer.get(5)),
    "delete waiting": (FLYING, {}, lambda s: s.writer.delete(1)),
    "delete flying": (FLYING, {}, lambda s: s.writer.delete(5)),
    "delete in hand": (HAND, {}, lambda s: s.writer.delete(1)),
    "again, merged": (HAND, {"merge": operator.add}, lambda s: s.table.again(None)),
}
WORKER: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any]]] = {
    "swap": ("", {}, lambda s: s.table.swap()),
    "swap with something left": (HAND, {}, lambda s: s.table.swap()),
    "take": (FLYING, {}, lambda s: s.table.take(3)),
    "take all": (FLYING, {}, lambda s: s.table.take(None)),
    "take after another": (HAND, {}, lambda s: s.table.take(2)),
    "take with something kept": (KEPT, {}, lambda s: s.table.take(3)),
    "acknowledge": (HAND, {}, lambda s: s.table.acknowledge()),
    "bury": (HAND, {}, lambda s: s.table.bury()),
    "bury some": (HAND, {}, lambda s: s.table.bury({1})),
    "reach": (HAND, {}, lambda s: s.table.reach(3)),
    "reach, nothing flying": ("", {}, lambda s: s.table.reach(3)),
    "keep": (HAND, {}, lambda s: s.table.keep({0})),
    "keep all": (HAND, {}, lambda s: s.table.keep(None)),
    "again": (KEPT, {}, lambda s: s.table.again(1)),
    "release": (HAND, {}, lambda s: s.table.release()),
    "held, counts, load": (HAND, {}, lambda s: (s.table.held(), s.table.counts(), s.table.load())),
    "drop_oldest": (FLYING, {}, lambda s: s.table.drop_oldest()),
    "close": ("", {}, lambda s: s.table.close()),
}
CASES = [
    *(("Queue", name, *case) for name, case in (QUEUE | WORKER).items()),
    *(("Map", name, *case) for name, case in (MAP | WORKER).items()),
]
