"""A table and its simple model, in step, over both implementations; keys of every sort."""

from typing import Any

from simple_tables import SimpleMap, SimpleQueue, SimpleRoom

__all__ = ["FOREIGN", "PLAIN", "Foreign", "Pair", "Text"]


class Foreign:
    """A key whose hash and `==` are Python: it equals a plain one, or hashes as many others."""

    def __init__(self, name: object, hashed: int | None = None) -> None:
        self.name, self.hashed = name, hash(name) if hashed is None else hashed

    def __hash__(self) -> int:
        return self.hashed

    def __eq__(self, other: object) -> bool:
        return bool(self.name == (other.name if isinstance(other, Foreign) else other))

    def __repr__(self) -> str:
        return f"Foreign({self.name!r})"


class Text(str):
    """Text, but not exactly."""

    __slots__ = ()


PLAIN = [1, 2, "a", "b", (1, "x"), 2.0, True, None, b"a", 7]
FOREIGN = [
    Foreign(1),
    Foreign(7),
    Text("a"),
    Text("c"),
    "c",
    *(Foreign(("z", n), 7) for n in "xyz"),
]
FOREIGN += [Foreign(("z", "x"), 7), Foreign((1, "x"))]


class Pair:
    """A table and its model, in step."""

    def __init__(self, made: Any, kind: str, bounds: Any, when_full: str, **options: Any) -> None:
        self.room = made.Room(*bounds, when_full) if bounds else None
        self.model_room = SimpleRoom(bounds[0], bounds[1], when_full) if bounds else None
        self.weighed = bool(bounds and bounds[1])
        real = {"Queue": made.QueueTable, "Map": made.MapTable}[kind]
        model: Any = {"Queue": SimpleQueue, "Map": SimpleMap}[kind]
        self.real, self.model = real(self.room, **options), model(self.model_room, **options)
        self.other, self.model_other = real(self.room), model(self.model_room)
        self.rings = 0
        self.open(None)
        self.other.open(self.ring, None)
        self.model_other.open(None)

    def ring(self) -> None:
        self.rings += 1

    def open(self, flush_at: int | None) -> tuple[None, None]:
        return self.real.open(self.ring, flush_at), self.model.open(flush_at)

    def step(self, name: str, *args: Any) -> None:
        """Do it to both; see that both say, and are, the same."""
        if hasattr(self, name):
            got, want = getattr(self, name)(*args)
        else:
            got, want = getattr(self.real, name)(*args), getattr(self.model, name)(*args)
        if name in ("take", "again"):
            got, want = got and list(map(shown, got)), self.model.shown(want) or None
        assert got == want, (name, args)
        self.check()

    def check(self) -> None:
        for real, model in ((self.real, self.model), (self.other, self.model_other)):
            assert real.counts() == model.counts()
            assert real.accepted == model.counts()["accepted"]
            assert list(map(shown, real.held())) == model.shown(model.all())
            assert len(real) == len(model.all())
            assert real.closed == model.closed
        assert self.rings == self.model.rings + self.model_other.rings
        if self.room is not None and self.model_room is not None:
            used, weight = self.model_room.used
            assert (self.room.used, self.room.used_bytes) == self.room.recount() == (used, weight)

    def line(self, count: int, weight: int) -> tuple[None, None]:
        """Only those stand in line who wait."""
        if self.room is not None and self.model_room is not None and self.room.when_full == "block":
            self.room.line = self.model_room.line = count
            self.room.line_bytes = self.model_room.line_bytes = weight
        return None, None

    def other_push(self, item: Any, weight: int) -> tuple[int, int]:
        args = (item, weight if self.weighed else 0)
        return self.other.push(*args), self.model_other.push(*args)

    def push(self, item: Any, weight: int, first: bool) -> tuple[int, int]:
        args = (item, weight if self.weighed else 0, first)
        return self.real.push(*args), self.model.push(*args)

    def push_all(self, pairs: list[Any], first: bool) -> tuple[int, int]:
        items, loads = [i for i, _ in pairs], [w if self.weighed else 0 for _, w in pairs]
        return (
            self.real.push_all(items, loads if self.weighed else None, first),
            self.model.push_all(items, loads, first),
        )

    def put(self, key: Any, value: Any, version: Any, weight: int, first: bool) -> tuple[int, int]:
        args = (key, value, version, weight if self.weighed else 0, first)
        return self.real.put(*args), self.model.put(*args)

    def put_all(self, ops: list[Any], first: bool) -> tuple[int, int]:
        ops = [(k, v, n, w if self.weighed else 0) for k, v, n, w in ops]
        if self.model.merge:
            return 0, 0
        return self.real.put_all(ops, first), self.model.put_all(ops, first)

    def needs(self, ops: list[Any]) -> tuple[Any, Any]:
        ops = [(k, v, n, w if self.weighed else 0) for k, v, n, w in ops]
        return self.real.needs(ops), self.model.needs(ops)

    def has(self, key: Any) -> tuple[bool, bool]:
        return self.real.has(key), self.model.get(key, self) is not self

    def acknowledge(self) -> tuple[int, int]:
        return self.real.acknowledge(), self.model.settle(self.model.out, "delivered")

    def bury(self, places: set[int] | None) -> tuple[int, int]:
        return self.real.bury(places), self.model.bury(places)


def shown(item: Any) -> Any:
    return tuple(item) if hasattr(item, "updates") else item
