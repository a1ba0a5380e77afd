"""
What a table is, in lists and dicts of whole entries, with no thought of speed, threads or keys.

The models that both implementations are compared with, operation by operation. Keys are
compared as they are; a test hands in keys whose `==` is an equivalence.
"""

from collections.abc import Iterable
from typing import Any

MADE, FULL, CLOSED = range(3)


class SimpleRoom:
    def __init__(
        self, max_size: int | None, max_bytes: int | None, when_full: str = "block"
    ) -> None:
        self.size, self.bytes, self.when_full = max_size, max_bytes, when_full
        self.tables: list[Any] = []
        self.line = self.line_bytes = 0

    @property
    def used(self) -> tuple[int, int]:
        items = [item for table in self.tables for item in table.all()]
        return len(items), sum(item["weight"] for item in items)

    def has(self, size: int, weight: int, first: bool) -> bool:
        used, used_bytes = self.used
        if not first:
            used, used_bytes = used + self.line, used_bytes + self.line_bytes
        too_many = size > 0 and self.size is not None and used + size > self.size
        too_much = weight > 0 and self.bytes is not None and used_bytes + weight > self.bytes
        return not (too_many or too_much)

    def fits(self, size: int, weight: int) -> bool:
        return (self.size is None or size <= self.size) and (
            self.bytes is None or weight <= self.bytes
        )


class SimpleTable:
    """What both kinds share. A held item is a dict; `waiting` and so on are lists of them."""

    def __init__(self, room: SimpleRoom | None) -> None:
        self.room = room
        self.waiting: list[dict[str, Any]] = []
        self.flying: list[dict[str, Any]] = []
        self.hand: list[dict[str, Any]] = []
        self.out: list[dict[str, Any]] = []
        self.closed, self.rings, self.rung = True, 0, False
        self.flush_at: int | None = None
        self.left_over = False
        self.counted = dict.fromkeys(
            ("accepted", "delivered", "dead_lettered", "dropped", "coalesced", "deleted"), 0
        )
        if room is not None:
            room.tables.append(self)

    def all(self) -> list[dict[str, Any]]:
        return [*self.hand, *self.flying, *self.waiting]

    def counts(self) -> dict[str, int]:
        in_flight = len(self.hand) + len(self.flying)
        return self.counted | {"waiting": len(self.waiting), "in_flight": in_flight}

    def open(self, flush_at: int | None) -> None:
        self.closed = False
        self.retune(flush_at)

    def retune(self, flush_at: int | None) -> None:
        self.flush_at, self.rung = flush_at, False
        self.look()

    def look(self) -> None:
        if self.flush_at is not None and not self.rung and len(self.waiting) >= self.flush_at:
            self.rung = True
            self.rings += 1

    def ring_if_held(self) -> None:
        if self.all() and not self.rung:
            self.rung = True
            self.rings += 1

    def close(self) -> None:
        self.closed = True

    def drop(self, count: int) -> int:
        if self.closed:
            return CLOSED
        self.counted["accepted"] += count
        self.counted["dropped"] += count
        return MADE

    def drop_oldest(self) -> bool:
        part = self.flying or self.waiting
        if self.room is None or not part:
            return False
        del part[0]
        self.counted["dropped"] += 1
        return True

    def admit(self, size: int, weight: int, first: bool, fall_back: tuple[int, int]) -> int | None:
        """Return None if there is room, by now; else the outcome. A write weighs *fall_back*."""
        room = self.room
        while room is not None and not room.has(size, weight, first):
            if room.when_full in ("block", "raise"):
                return FULL
            for table in room.tables:
                table.ring_if_held()
            can_fit = room.when_full == "drop_oldest" and room.fits(*fall_back)
            if not (can_fit and any(t.drop_oldest() for t in (self, *room.tables))):
                return self.drop(fall_back[0])
            return -1  # something else than before may be needed now
        return None

    def swap(self) -> int:
        self.release()
        self.left_over = bool(self.flying)
        if not self.flying:
            self.flying, self.waiting, self.rung = self.waiting, [], False
        return len(self.flying)

    def take(self, size: int | None) -> list[dict[str, Any]]:
        self.settle(self.out, "delivered")
        self.release()
        count = len(self.flying) if size is None else size
        self.hand, self.flying = self.flying[:count], self.flying[count:]
        self.out = list(self.hand)
        return self.out

    def again(self, size: int | None) -> list[dict[str, Any]]:
        self.forget()
        self.out = self.hand[:size]
        return self.out

    def settle(self, items: Iterable[dict[str, Any]], what: str) -> int:
        chosen = [item for item in items if any(item is other for other in self.hand)]
        for item in chosen:
            self.hand = [other for other in self.hand if other is not item]
            self.counted[what] += 1
            self.remember(item, what)
        self.out = []
        return len(chosen)

    def keep(self, places: set[int] | None) -> int:
        out = list(self.out)
        if places is not None:
            self.settle(
                [item for place, item in enumerate(out) if place not in places], "delivered"
            )
        self.forget()
        return sum(any(item is other for other in self.hand) for item in out)

    def bury(self, places: set[int] | None) -> int:
        chosen = [i for n, i in enumerate(self.out) if places is None or n in places]
        count = self.settle(chosen, "dead_lettered")
        if places is not None:
            self.forget()
        return count

    def reach(self, count: int) -> int:
        in_flight = self.hand + self.flying
        reached = [item for item in self.waiting if self.may_follow(item, in_flight)][:count]
        self.waiting = [item for item in self.waiting if not any(item is r for r in reached)]
        self.flying += reached
        return len(reached)

    def may_follow(self, _item: dict[str, Any], _others: list[dict[str, Any]]) -> bool:
        return True

    def release(self) -> None:
        self.forget()
        self.flying, self.hand = self.hand + self.flying, []

    def forget(self) -> None:
        gone = [item for item in self.hand if item.get("hidden")]
        self.hand = [item for item in self.hand if not item.get("hidden")]
        self.counted["deleted"] += len(gone)
        self.out = []

    def remember(self, item: dict[str, Any], what: str) -> None:
        pass


class SimpleQueue(SimpleTable):
    def push(self, item: Any, weight: int = 0, first: bool = False) -> int:
        while not self.closed:
            outcome = self.admit(1, weight, first, (1, weight))
            if outcome is None:
                return self._append([item], [weight])
            if outcome != -1:
                return outcome
        return CLOSED

    def push_all(self, items: list[Any], weights: list[int], first: bool = False) -> int:
        if self.closed:
            return CLOSED
        if self.room is not None and not self.room.has(len(items), sum(weights), first):
            return FULL
        return self._append(items, weights)

    def _append(self, items: list[Any], weights: list[int]) -> int:
        pairs = zip(items, weights, strict=True)
        self.waiting += [{"item": item, "weight": weight} for item, weight in pairs]
        self.counted["accepted"] += len(items)
        self.look()
        return MADE

    @staticmethod
    def shown(items: list[dict[str, Any]]) -> list[Any]:
        return [item["item"] for item in items]


class SimpleMap(SimpleTable):
    def __init__(self, room: SimpleRoom | None, merge: Any = None, remember: int = 10**6) -> None:
        super().__init__(room)
        self.merge, self.limit = merge, remember
        self.recent: dict[Any, int] = {}
        self.older: dict[Any, int] = {}

    def may_follow(self, item: dict[str, Any], others: list[dict[str, Any]]) -> bool:
        return self.find(others, item["key"]) is None

    @staticmethod
    def find(part: list[dict[str, Any]], key: Any) -> dict[str, Any] | None:
        return next((item for item in part if item["key"] == key), None)

    def floor(self, key: Any) -> int | None:
        """Return the version that *key* has, None for none at all."""
        held = self.find(self.waiting, key) or self.find(self.hand + self.flying, key)
        if held is not None and not held.get("hidden"):
            return held["version"] or 0
        seen: int | None = self.recent.get(key, self.older.get(key))
        return seen

    def put(
        self, key: Any, value: Any, version: int | None = None, weight: int = 0, first: bool = False
    ) -> int:
        while not self.closed:
            floor = self.floor(key)
            if version is not None and floor is not None and version <= floor:
                self.counted["accepted"] += 1
                self.counted["coalesced"] += 1
                return self._made()
            old = self.find(self.waiting, key)
            extra = weight - (old["weight"] if old else 0)
            outcome = self.admit(0 if old else 1, extra, first, (1, weight))
            if outcome is None:
                self._set(old, key, value, version, weight)
                return self._made()
            if outcome != -1:
                return outcome
        return CLOSED

    def _made(self) -> int:
        self.look()
        return MADE

    def _set(self, old: Any, key: Any, value: Any, version: int | None, weight: int) -> None:
        self.counted["accepted"] += 1
        if old is None:
            self.waiting.append(
                {"key": key, "value": value, "version": version, "updates": 0, "weight": weight}
            )
            return
        self.counted["coalesced"] += 1
        old["value"] = self.merge(old["value"], value) if self.merge else value
        old["updates"] = 0 if version is None else old["updates"] + 1
        old["version"], old["weight"] = version, weight

    def put_all(self, ops: list[Any], first: bool = False) -> int:
        if self.closed:
            return CLOSED
        if ops and self.room is not None and self.room.when_full == "drop_oldest":
            return FULL
        size, weight = self.needs(ops)
        if self.room is not None and not self.room.has(size, weight, first):
            return FULL
        for key, value, version, load in ops:
            floor = self.floor(key)
            if version is not None and floor is not None and version <= floor:
                self.counted["accepted"] += 1
                self.counted["coalesced"] += 1
            else:
                self._set(self.find(self.waiting, key), key, value, version, load)
        return self._made()

    def needs(self, ops: list[Any]) -> tuple[int, int]:
        copy = SimpleMap(None, None)
        copy.waiting, copy.hand = [dict(item) for item in self.waiting], self.hand
        copy.flying, copy.recent, copy.older = self.flying, self.recent, self.older
        copy.closed = False
        for op in ops:
            copy.put(*op)
        grown = [sum(item["weight"] for item in table.waiting) for table in (self, copy)]
        return len(copy.waiting) - len(self.waiting), max(0, grown[1] - grown[0])

    def get(self, key: Any, default: Any = None) -> Any:
        held = self.find(self.waiting, key) or self.find(self.hand + self.flying, key)
        return default if held is None or held.get("hidden") else held["value"]

    def delete(self, key: Any) -> int:
        if self.closed:
            return CLOSED
        self.recent.pop(key, None)
        self.older.pop(key, None)
        for part in (self.waiting, self.hand, self.flying):
            held = self.find(part, key)
            if held is None:
                continue
            if any(held is item for item in self.out):
                held["hidden"] = True
            else:
                part.remove(held)
                self.counted["deleted"] += 1
        return MADE

    def take(self, size: int | None) -> list[dict[str, Any]]:
        super().take(size)
        if self.left_over:
            self.freshen()
        return self.out

    def again(self, size: int | None, newest: bool = True) -> list[dict[str, Any]]:
        super().again(size)
        if newest:
            self.freshen()
        return self.out

    def freshen(self) -> None:
        for old in self.out:
            new = self.find(self.waiting, old["key"])
            if new is None:
                continue
            self.waiting.remove(new)
            self.counted["coalesced"] += 1
            old["value"] = self.merge(old["value"], new["value"]) if self.merge else new["value"]
            old["updates"] = 0 if new["version"] is None else old["updates"] + new["updates"] + 1
            old["version"], old["weight"] = new["version"], new["weight"]

    def remember(self, item: dict[str, Any], what: str) -> None:
        if what != "delivered":
            return
        key = item["key"]
        if item["version"] is not None and not item.get("hidden") and self.limit:
            if key not in self.recent and len(self.recent) >= self.limit:
                self.recent, self.older = {}, self.recent
            self.recent[key] = item["version"]
        else:
            self.recent.pop(key, None)
            self.older.pop(key, None)

    @staticmethod
    def shown(items: list[dict[str, Any]]) -> list[Any]:
        return [(i["key"], i["value"], i["version"] or 0, i["updates"]) for i in items]
