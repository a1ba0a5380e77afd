"""What a stop has left in the front of a shared buffer: it is not on the server."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Holder(Protocol):
    """What holds it."""

    tables: Sequence[Any]

    def items(self, records: Sequence[Any], /) -> list[Any]:
        """Return what *records* were made of."""
        ...


class Left(Sequence[Any]):
    """Counted, and decoded when somebody asks; equal to other sequences of the same items."""

    def __init__(self, holder: Holder, count: int) -> None:
        self._holder, self._count = holder, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for table in self._holder.tables:
            yield from self._holder.items(table.held())

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return f"<{self._count} left>" if self._count else "()"
