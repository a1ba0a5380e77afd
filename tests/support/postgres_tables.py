"""A table of PostgreSQL for a test, and sinks to it."""

from contextlib import ExitStack
from typing import Any

from postgres import Server

from partitioned_buffer import PartialFailure
from partitioned_buffer.testing.contract.sinks.using import Use


class Tables:
    """A schema that is empty before each test, and sinks to its table t."""

    def __init__(self, server: Server, sink: Any, ends: ExitStack) -> None:
        self.server, self.sink, self._ends = server, sink, ends
        self.run("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public")

    def run(self, text: str) -> list[Any]:
        with self.server.connect() as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def use(self, columns: str = "id text", *, database: Any = None, **options: Any) -> Use:
        made = self.sink(database or self.server.conninfo(), "t", columns.split(), **options)
        return self._ends.enter_context(Use(made))

    def found(self) -> list[Any]:
        return self.run("SELECT * FROM t")


def rejected(error: BaseException | None) -> dict[int, str]:
    assert isinstance(error, PartialFailure), error
    assert error.by_place
    assert not error.retry
    return {place: str(why) for place, why in dict(error.reject or {}).items()}
