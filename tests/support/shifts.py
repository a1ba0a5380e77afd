"""Programs with a buffer on a server, and `partitioned-buffer worker` as a process of its own."""

import signal
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from servers import wait_until
from stores import begun

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

_SHOP = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from partitioned_buffer import AsyncQueue, Map, Queue, Reject
    from partitioned_buffer.storage import SQLite
    from partitioned_buffer.storage.redis import Redis

    LOG = os.open("log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


    def note(what, batch):
        os.write(LOG, f"{what} {os.getpid()} {' '.join(batch)}\\n".encode())


    def save(batch):  # when it may
        note("begun", batch)
        while not Path("go").exists():
            time.sleep(0.005)
        note("done", batch)


    async def save_on_loop(batch):
        note("begun", batch)
        while not Path("go").exists():
            await asyncio.sleep(0.005)
        note("done", batch)


    def made(kind, processor=save, storage=None, **options):
        if storage is None:
            storage = Redis(URL, deliver=False, lease=60, ack_timeout=20)
        given = dict(partitions=4, partition_key=key, processing_interval=0.01) | options
        return kind(NAME, processor, storage=storage, **given)


    def key(item):
        return item[0]


    queue = made(Queue)
    awaited = made(AsyncQueue)
    on_loop = made(AsyncQueue, save_on_loop)
"""


def shop(url: str, name: str, more: str = "") -> str:
    """Return a program with several faces of the buffer *name*, of items that begin with a key."""
    begin = f"URL, NAME = {url!r}, {name!r}\n"
    return begin + textwrap.dedent(_SHOP) + "\n\n" + textwrap.dedent(more)


def items(number: int, keys: str = "abcdefgh") -> list[str]:
    return [f"{keys[each % len(keys)]}{each}" for each in range(number)]


def pushed(url: str, name: str, those: Sequence[str]) -> None:
    """Bring *those* to the server."""
    storage = Redis(url, ack="server", ack_timeout=20)
    with Queue[str](
        name, storage=storage, partitions=4, partition_key=lambda item: item[0]
    ) as queue:
        queue.push_all(those)


class Log:
    """What the processors of a program have been given, and delivered."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.txt"

    def of(self, what: str, pid: int | None = None) -> list[str]:
        text = self._path.read_text() if self._path.exists() else ""
        lines = [line.split() for line in text.splitlines()]
        mine = [line for line in lines if line[0] == what and pid in {None, int(line[1])}]
        return [item for line in mine for item in line[2:]]

    def wait_for(self, those: Sequence[str], timeout: float = 40) -> None:
        """Wait until all are delivered; each once, and those of a key in their order."""
        wait_until(lambda: len(self.of("done")) >= len(those), timeout)
        done = self.of("done")
        assert Counter(done) == Counter(those)
        for key in {each[0] for each in those}:
            of_key = [each for each in done if each[0] == key]
            assert of_key == [each for each in those if each[0] == key]


class Worker:
    """One, in the folder of its program; it is there when it is entered."""

    def __init__(self, folder: Path, *arguments: object, waits: bool = False) -> None:
        self.log, self._waits, self._folder = Log(folder), waits, folder
        self._arguments = arguments or ("shop:queue",)
        self.said: list[str] = []

    def __enter__(self) -> Self:
        self.process = begun(self._folder, "worker", *self._arguments)
        self.pid = self.process.pid
        if not self._waits:
            self.reads("this is the worker")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def reads(self, words: str) -> str:
        """Wait for a line with these *words*."""
        assert self.process.stdout is not None
        while words not in (line := self.process.stdout.readline()):
            assert line or self.process.poll() is None, self._complaint()
            if not line:
                raise AssertionError(self._complaint())
            self.said.append(line)
        self.said.append(line)
        return line

    def _complaint(self) -> str:
        assert self.process.stderr is not None
        return "".join(self.said) + self.process.stderr.read()

    def told(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ended(self, number: signal.Signals | None = signal.SIGTERM) -> tuple[int, str, str]:
        """Tell it to end, unless it was told; return its exit code, and all that it has said."""
        if number is not None:
            self.told(number)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # By communicate() what is in the buffer of a file would be lost.
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return self.process.wait(60), "".join(self.said) + out, err


Program = Callable[[str], Path]
