"""What only tasks have: writes that are cancelled, and such that must not wait."""

import asyncio
from pathlib import Path
from typing import Any

from ... import AsyncQueue, StorageBusy
from .base import NAME, PATIENCE, Base, raised
from .watched import Watched


class Tasks(Base):
    """An AsyncQueue."""

    def test_a_task_pushes_and_awaits_the_commit(self, tmp_path: Path) -> None:
        storage, delivered = self.watched(tmp_path), list[Any]()

        async def main() -> None:
            async with AsyncQueue[Any](NAME, delivered.extend, storage=storage) as queue:
                await asyncio.gather(*(queue.push(number) for number in range(50)))
                await queue.push_all(range(50, 60))
                assert queue.stats().accepted == 60
                assert len(storage.commits) < 30, "one commit carries what many tasks bring"

        asyncio.run(main())
        assert sorted(delivered) == list(range(60))

    def test_what_must_not_wait_is_refused(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)

        async def main() -> None:
            async with AsyncQueue[Any](NAME, print, storage=storage) as queue:
                assert "await" in str(raised(TypeError, queue.push_nowait, 1))
                raised(TypeError, queue.push_all_nowait, [1, 2])
                assert queue.stats().accepted == 0

        asyncio.run(main())
        assert storage.commits == []

    def test_a_push_cancelled_before_its_commit_has_written_nothing(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        assert asyncio.run(self._cancelled(storage, early=True)) == ["first", "last"]

    def test_one_cancelled_during_its_commit_has_written(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        assert asyncio.run(self._cancelled(storage, early=False)) == ["first", "last"]

    async def _cancelled(self, storage: Watched, *, early: bool) -> list[Any]:
        """Push in a task that is cancelled behind a commit that goes on, or in its own."""
        delivered: list[Any] = []
        async with (
            asyncio.timeout(PATIENCE),
            AsyncQueue[Any](
                NAME, delivered.extend, storage=storage, partitions=1, max_size=10
            ) as queue,
        ):
            storage.close_gate()
            first = asyncio.create_task(queue.push("first"))
            assert await asyncio.to_thread(storage.at_work.acquire, timeout=PATIENCE)
            if early:
                cancelled = asyncio.create_task(queue.push("cancelled"))
                await asyncio.sleep(0.01)
            else:
                cancelled = first
            cancelled.cancel()
            await asyncio.wait([cancelled])
            assert cancelled.cancelled()
            storage.open_gate()
            await asyncio.wait([first])
            await queue.push("last")
            await queue.flush()
            stats = queue.stats()
            assert (stats.accepted, stats.delivered) == (2, 2)
            assert queue.size() == 0
        return delivered

    def test_a_start_that_is_refused_leaves_nothing(self, tmp_path: Path) -> None:
        storage, delivered = self.watched(tmp_path), list[Any]()

        async def main() -> None:
            async with AsyncQueue[Any](NAME, delivered.extend, storage=storage) as queue:
                await queue.push(1)
                second = AsyncQueue[Any]("a second one", print, storage=storage)
                refused = (await asyncio.gather(second.__aenter__(), return_exceptions=True))[0]
                assert isinstance(refused, StorageBusy)
                await queue.push(2)

        asyncio.run(main())
        assert sorted(delivered) == [1, 2]
