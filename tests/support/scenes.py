"""
Several processes that share a Queue on a server, some of which do not live to see the end.

    with Scene(folder, server.url, seed=1) as scene:
        scene.workers(3), scene.producer(), scene.kill(...)
        history = scene.finish()
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import histories
import sharers
from histories import History

from partitioned_buffer import Queue

PATIENCE = 60.0

COMPLAINTS = ("Exception in", "pump failed", "clerk failed", "its front: ")
"""What none of them may say, whatever happens to its server."""


class Process:
    """A program, as those of `sharers`."""

    def __init__(self, told: sharers.Options, said: Path, program: Sequence[str]) -> None:
        self._said = said.open("wb")
        command = [*program, json.dumps(told._asdict())]
        self._process = subprocess.Popen(command, stderr=self._said)
        self.pid = self._process.pid

    def send(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def end(self) -> None:
        """Have it end as it should."""
        self.send(signal.SIGTERM)
        assert self.wait() == 0, "it has failed, or had something left"

    def close(self) -> None:
        """Be sure that it is no more."""
        self.kill()
        self._said.close()


class Scene:
    """Of one Queue."""

    program = sharers.__file__
    """What its processes run."""

    def __init__(self, folder: Path, url: str, seed: int, **options: Any) -> None:
        self.folder, self.seed = folder / f"seed-{seed}", seed
        self.diaries = self.folder / "diaries"
        self.diaries.mkdir(parents=True)
        self.random = random.Random(seed)
        self.name = f"shared-{seed}"
        self._told = sharers.Options("", url, self.name, str(self.diaries), **options)
        self.crew: list[Process] = []
        self.producers: list[Process] = []
        self._all: list[Process] = []
        self.killed: dict[int, float] = {}
        """Workers, and when."""
        self.asleep: set[int] = set()
        self.inside: Sequence[str] = ()
        """What comes before the command of whoever is started from now on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._have_them_tell()
        for each in self._all:
            each.close()
        if error is not None:
            error.add_note(f"seed {self.seed}; the histories are in {self.folder}")

    def _have_them_tell(self) -> None:
        """Have the workers say what they are at, as far as they can."""
        for one in self.crew:
            if (self.folder / f"ready-{one.pid}").exists():
                one.send(signal.SIGUSR1)
        time.sleep(1)

    def _start(self, role: str, **options: Any) -> Process:
        told = self._told._replace(role=role, **options)
        program = [*self.inside, sys.executable, self.program]
        made = Process(told, self.folder / f"{role}-{len(self._all)}.said", program)
        self._all.append(made)
        return made

    def worker(self, **options: Any) -> Process:
        self.crew.append(self._start("worker", **options))
        return self.crew[-1]

    def producer(self, **options: Any) -> Process:
        self.producers.append(self._start("producer", **options))
        return self.producers[-1]

    def queue(self, **options: Any) -> Queue[Any]:
        """Return the Queue, for this process: it only writes."""
        told = self._told._replace(**options)
        return Queue(told.name, **sharers.queue_options(told))

    def history(self) -> History:
        return histories.read(self.diaries)

    def kill(self, one: Process) -> None:
        """Kill a worker that is delivering, and have another in its place."""
        one.kill()
        self.killed[one.pid] = time.monotonic()
        self.crew.remove(one)

    def wait_until(self, true: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        end = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < end, f"not within {timeout} s: {what}"
            time.sleep(0.05)

    def said(self, one: Process, role: str = "worker") -> int:
        """Return how many bytes of diary it has written."""
        path = self.diaries / f"{role}-{one.pid}"
        return path.stat().st_size if path.exists() else 0

    def all_ready(self) -> None:
        """Wait until all have opened the Queue."""
        for one in (*self.crew, *self.producers):
            ready = self.folder / f"ready-{one.pid}"
            self.wait_until(ready.exists, f"{one.pid} has begun")

    def goes_on(self, one: Process, role: str = "worker") -> None:
        """Wait until it does something from now on."""
        before = self.said(one, role)
        self.wait_until(lambda: self.said(one, role) > before, f"{role} {one.pid} does something")

    # --- the end -----------------------------------------------------------------

    def finish(self) -> History:
        """Have the producers end, all be delivered, the workers end; return what they said."""
        self._end(self.producers)
        self.flush()
        self._end(self.crew)
        self.look_at_complaints()
        return self.history()

    def _end(self, those: list[Process]) -> None:
        self.all_ready()
        for one in those:
            one.end()

    def flush(self) -> None:
        with self.queue() as queue:
            queue.flush(timeout=PATIENCE)

    def look_at_complaints(self) -> None:
        for path in self.folder.glob("*.said"):
            said = path.read_text()
            for bad in COMPLAINTS:
                assert bad not in said, f"{path.name}: {said[-2000:]}"

    def numbers(self, name: str) -> int:
        """Return a number of `stats().shared`, of all producers together."""
        found = [json.loads(path.read_text()) for path in self.folder.glob("diaries.*.json")]
        return sum(each[name] for each in found)

    def check(self, history: History, **options: Any) -> None:
        """See `histories.check`."""
        mine: dict[str, Any] = {"killed": self.killed, "asleep": self.asleep}
        histories.check(history, window=self._told.window, **mine, **options)


def stop_for(one: Process, seconds: float) -> None:
    """Have it sleep for so long, without knowing that."""
    os.kill(one.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(one.pid, signal.SIGCONT)
