"""A batch that comes twice, since the answer was lost."""

from pathlib import Path

from .... import PartialFailure, Reject
from .base import Base
from .saying import says


class Repeating(Base):
    """A destination that can tell is not given anything twice."""

    def test_a_batch_that_comes_twice_is_there_once(self, tmp_path: Path) -> None:
        self.needs("repeat")
        with self.used(tmp_path) as use:
            for _ in range(3):
                assert use.give(self.items(1, 2)) is None
            assert self.all_found(tmp_path) == self.rows(1, 2)

    def test_so_it_is_by_another_sink(self, tmp_path: Path) -> None:
        self.needs("repeat")
        for _ in range(2):  # the process has ended in between
            with self.used(tmp_path) as use:
                assert use.give(self.items(1, 2)) is None
        assert self.all_found(tmp_path) == self.rows(1, 2)

    def test_what_comes_between_and_after_is_there(self, tmp_path: Path) -> None:
        self.needs("repeat")
        with self.used(tmp_path) as use:
            for number in (0, 0, 1, 1, 2, 2, 3):
                batch = self.items(2 * number, 2 * number + 1)
                assert use.give(batch, position=2 * number) is None
            assert self.all_found(tmp_path) == self.rows(*range(8))

    def test_another_buffers_batch_is_another(self, tmp_path: Path) -> None:
        with self.used(tmp_path) as use:
            assert use.give(self.items(1, 2), store="one") is None
            assert use.give(self.items(3, 4), store="another") is None
            assert self.all_found(tmp_path) == self.rows(1, 2, 3, 4)

    def test_a_batch_with_a_bad_row_may_come_twice_too(self, tmp_path: Path) -> None:
        self.needs("repeat", "reject")
        with self.used(tmp_path) as use:
            for _ in range(2):
                batch = [self.item(1), self.bad_item(2), self.item(3)]
                says(use.give(batch), PartialFailure, Reject)
            assert self.all_found(tmp_path) == self.rows(1, 3)
