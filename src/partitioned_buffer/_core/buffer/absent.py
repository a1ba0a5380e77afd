"""Names that one kind or face does not have, and another does: who asks is told where to look."""

from typing import Final, NoReturn

ITEMS: Final = "a Queue takes items, by push(item) and push_all(items); entries are a Map's"
ENTRIES: Final = "a Map takes entries, by put(key, value) and put_all(entries); items are a Queue's"


class Absent:
    """An attribute that is not there; a *hint* says what to do instead."""

    __slots__ = ("_hint", "_name")

    def __init__(self, hint: str) -> None:
        self._hint = hint

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, _instance: object, owner: type) -> NoReturn:
        message = f"{owner.__name__!r} object has no attribute {self._name!r}: {self._hint}"
        raise AttributeError(message, name=self._name)
