"""How tasks are started for the partitions of a buffer, and what they tell it."""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from .._core.buffer.run import Run
from .._core.buffer.supervisor import PROMPTLY
from .._core.delivery.handover import Surrender
from .._core.delivery.partition import Partition
from .._core.delivery.watchdog import Watchdog
from .._core.waiting.clock import SystemClock
from .._core.waiting.countdown import Countdown
from .._core.waiting.steps import Steps, drive, now
from ..abc import AsyncSignal
from .loops.base import RunningLoop
from .worker import TaskWorker

R = TypeVar("R")


class Owner(Protocol):
    """A buffer, as far as its tasks end its life."""

    def _cut_off(
        self, life: "TaskRun", partition: Partition[Any], error: BaseException | None
    ) -> None: ...
    def _wind_down(self, life: "TaskRun") -> None: ...
    def _wound_down(self, life: "TaskRun") -> None: ...


class TaskRun(Run[TaskWorker[Any]]):
    """A life on one event loop, whose tasks are in one group, and tell it what becomes of them."""

    def __init__(self, owner: Owner, loop: RunningLoop, here: object) -> None:
        super().__init__()
        self._owner = owner
        self.loop, self.here = loop, here
        self.group = loop.group()
        self.has_died = False
        self.is_winding = False  # down, since a worker was asked to
        self.surrender = Surrender("ended, for its tasks were cancelled")
        self._beginning: Countdown

    def launch(self, partitions: Sequence[Partition[Any]], signals: list[AsyncSignal]) -> None:
        """Start a task for each of *partitions*, and the watchdog's, which waits on the last."""
        *each, last = signals
        self._beginning = Countdown(SystemClock(), self.loop.signal(), len(partitions))
        self.workers = tuple(
            TaskWorker(self, partition, self.loop, signal)
            for partition, signal in zip(partitions, each, strict=True)
        )
        self.watchdog = watchdog = Watchdog(partitions, last, lambda: self.everybody)
        for worker in self.workers:
            partition = worker.partition
            name = f"{partition.name}-{partition.index}"
            worker.cancel = self.group.start(worker.main, name, worker.gone)
        name = f"{partitions[0].name}-watchdog"
        self.group.start(lambda: drive(watchdog.watch()), name, lambda: None)

    def welcome(
        self, partition: Partition[Any], signal: AsyncSignal, hired: Callable[[Any], bool]
    ) -> None:
        """Start a task for *partition* that comes and goes."""
        worker = TaskWorker(Guest(self), partition, self.loop, signal)
        if not self.admit(worker):
            signal.close()
            return
        if not hired(worker):
            self.dismiss(worker)
            signal.close()
            return
        name = f"{partition.name}-{partition.index}"
        worker.cancel = self.group.start(worker.main, name, worker.gone)
        partition.open(worker.wake)
        worker.begin()

    async def all_begun(self) -> None:
        """Return when all have begun: only those can be asked to stop."""
        while not self._beginning.done:
            await drive(self._beginning.wait(None))

    def bury(self) -> None:
        """Have those ended whose loop is no more: only a thread may still be in a call."""
        for worker in self.everybody:
            if not worker.ended and not worker.is_in_thread:
                worker.forked()  # whatever becomes of its task, it touches nothing
                worker.partition.table.release()
                worker.partition.front.hand = []
                worker.end()

    # --- what workers tell ---------------------------------------------------------

    def worker_begun(self) -> None:
        self._beginning.report()

    def worker_cut_off(self, partition: Partition[Any], error: BaseException | None) -> None:
        self.has_died = self.has_died or self.died_of(error)
        self._owner._cut_off(self, partition, error)

    def died_of(self, error: BaseException | None) -> bool:
        """Return whether *error* is a worker's own, and not the end of its task."""
        return error is not None and not self.loop.ends(error)

    def stop_asked(self) -> None:
        self._owner._wind_down(self)

    def worker_ended(self) -> None:
        if self.is_winding and self.has_ended:
            self.is_winding = False
            self._owner._wound_down(self)

    def cut_short(self) -> None:
        """Have the tasks that are in a call leave it, and hand over."""
        stuck = [worker for worker in self.workers if worker.driver.disown()]
        taken_over = Countdown(SystemClock(), self.loop.signal(), len(stuck))
        for worker in stuck:
            worker.take_over(taken_over)


class Guest:
    """What a worker that comes and goes tells the *life* it is in."""

    def __init__(self, life: TaskRun) -> None:
        self._life = life
        self.worker_cut_off, self.stop_asked = life.worker_cut_off, life.stop_asked
        self.worker_ended = life.worker_ended

    def worker_begun(self) -> None:
        """Nobody waits for it."""


class TaskSupervisor:
    """Of one buffer."""

    survives_fork = False
    blocks = False

    def __init__(self, partitions: Sequence[Partition[Any]]) -> None:
        self._partitions = partitions
        self._signal: Callable[[], AsyncSignal]

    def launch(self, life: TaskRun, /) -> None:
        """Start a task for each partition, and the watchdog's."""
        clock: Any = self._partitions[0].settings.clock  # checked when the buffer was made
        self._signal = partial(clock.async_signal, life.loop)
        life.launch(self._partitions, [self.signal() for _ in range(len(self._partitions) + 1)])

    def admit(
        self, life: TaskRun, partition: Partition[Any], hired: Callable[[Any], bool], /
    ) -> None:
        """Start a task for *partition*, a guest of *life*; say who it is. From any thread."""
        life.loop.soon(lambda: life.welcome(partition, self.signal(), hired))

    def join(self, life: TaskRun, grace: float, /) -> Steps[None]:
        """Give the tasks so many seconds, of real time, to end."""
        in_thread = [worker for worker in life.everybody if worker.is_in_thread]
        ending = [worker for worker in life.everybody if worker not in in_thread]
        yield from self._join(life, ending, grace)
        prompt = [worker for worker in in_thread if worker.partition.is_prompt]
        yield from self._join(life, prompt, min(PROMPTLY, grace))

    def _join(self, life: TaskRun, workers: Sequence[TaskWorker[Any]], grace: float) -> Steps[None]:
        clock = SystemClock()
        gone = Countdown(clock, life.loop.signal(), len(workers))
        for worker in workers:
            worker.stop(gone)
        until = clock.monotonic() + grace
        while not gone.done and (yield from gone.wait(until)):
            pass
        gone.close()

    def take_over(
        self, _life: TaskRun, workers: Sequence[TaskWorker[Any]], countdown: Countdown, /
    ) -> None:
        """Have the tasks of *workers* leave their calls, and hand over."""
        for worker in workers:
            worker.take_over(countdown)

    def signal(self) -> AsyncSignal:
        """Return a new signal for a task to wait on."""
        return self._signal()

    def go(self, steps: Generator[Any, None, R], /) -> R:
        """Go through *steps*, which must not wait: whoever wants to wait awaits them."""
        partition = self._partitions[0]
        if partition.must_wait:
            steps.close()
            raise TypeError(
                f"a write to buffer {partition.name!r} returns when it is stored, which takes a "
                "wait, and this one must not: await the method without _nowait; "
                "from another thread, by asyncio.run_coroutine_threadsafe"
            )
        return now(steps)

    def thread(self) -> None:
        """Return that no thread stands still for a task that waits."""
        return

    def patience(self) -> None:
        """Return that a task may wait for as long as it takes."""
        return
