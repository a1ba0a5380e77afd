"""
An event loop that can be told which callback runs next, and explorers that tell it.

asyncio calls back in the order of `call_soon`, so a program that is alone with its loop has one
schedule. A real one has many: a socket, a timer or another thread calls back when it pleases, and
each task is as late as what it awaits. So the order in which wakeups of *different* tasks and
signals arrive is nobody's promise, and trio even shuffles it. This loop runs any callback that is
ready. What asyncio does promise stays true: a task has one callback at a time, so its own steps
keep their order; and a step is never interrupted.

Time is the loop's, and jumps to the next timer when nothing is ready. A loop in *haste* may jump
before that, so many times, as on a machine that is too slow.

A run is repeated by what its failure names: `replay(scenario, choices, cuts, haste=...)`.
"""

import asyncio
import os
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

SCHEDULES = int(os.environ.get("SCHEDULES", "100"))
"""How many schedules a test explores at most."""

LONGEST = 1_000
"""Steps after which a run is said to go on for ever."""

BEGAN = 1_000.0
"""The time at which a run begins."""

ALL = "all"

Cut = tuple[int, str]
"""Before which step which task is cancelled, by its name; `ALL` of them."""

Check = Callable[[], object]
Pick = Callable[[list[asyncio.Handle]], int]


class VirtualClock:
    """A buffer's clock, and its loop's: the time at which the loop has arrived."""

    now = BEGAN

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def async_signal(self, loop: Any, /) -> Any:
        return loop.signal()


CLOCK = VirtualClock()


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set, of a task group say, is the same in every run."""

    def __init__(self, number: int, coroutine: Any, **options: Any) -> None:
        self.number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self.number


class ExploredLoop(asyncio.BaseEventLoop):
    """Runs until nothing is left to do. *pick* chooses what is next."""

    _ready: "deque[asyncio.Handle]"
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, pick: Pick, cuts: Sequence[Cut] = (), *, haste: int = 0) -> None:
        super().__init__()
        self.pick, self.cuts, self.haste = pick, cuts, haste
        self.choices: list[int] = []
        self.widths: list[int] = []  # from how many each was chosen
        self.steps = self.length = 0  # in all, and of what was explored
        self.struck: list[str] = []  # who was cancelled
        self.when_idle: Check = lambda: None  # what has to hold whenever time has to pass
        self.tasks: list[NumberedTask] = []
        self.own: list[asyncio.Task[Any]] = []  # of these, those of the scenario itself
        self.complaints: list[Any] = []
        CLOCK.now = BEGAN
        self.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.set_task_factory(self._make_task)

    def _make_task(self, _loop: Any, coroutine: Any, **options: Any) -> NumberedTask:
        self.tasks.append(NumberedTask(len(self.tasks), coroutine, loop=self, **options))
        return self.tasks[-1]

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task that has to return, or to be cancelled."""
        self.own.append(self.create_task(coroutine, name=name))
        return self.own[-1]

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a task that nobody waits for."""
        self.start(name, coroutine)  # type: ignore[unused-awaitable]

    def settle(self, coroutine: Coroutine[Any, Any, Any] | None = None) -> None:
        """Run until nothing is left to do; raise what a task raised, or that one cannot end."""
        if coroutine is not None:
            self.spawn("later", coroutine)
        self._until = self.steps + LONGEST
        self.run_forever()
        assert self.steps < self._until, "it goes on for ever"
        for task in self.tasks:
            assert task.done(), f"{task.get_name()} waits for ever: {task}"
        for own in self.own:
            if not own.cancelled() and (error := own.exception()) is not None:
                raise error
        assert not self.complaints, self.complaints

    def time(self) -> float:
        return CLOCK.now

    def _write_to_self(self) -> None:
        """Wake the loop from another thread: there is none."""

    def _run_once(self) -> None:
        self._cancel_what_is_due()
        ready = [handle for handle in self._ready if not handle.cancelled()]
        if not ready:
            self.when_idle()
            if all(task.done() for task in self.tasks):
                self.stop()  # timers may be left, and come in the middle of what is run next
                return
        if (self.haste or not ready) and (timer := self._next_timer()) is not None:
            ready.append(timer)
        if not ready or self.steps == self._until:
            self.stop()
            return
        chosen = ready[self._choose(ready) if len(ready) > 1 else 0]
        if isinstance(chosen, asyncio.TimerHandle):
            self._scheduled.remove(chosen)
            CLOCK.now = max(CLOCK.now, chosen.when())
            self.haste -= len(ready) > 1
        else:
            self._ready.remove(chosen)
        self.steps += 1
        chosen._run()

    def _choose(self, ready: list[asyncio.Handle]) -> int:
        if self.length:
            return 0
        choice = min(self.pick(ready), len(ready) - 1)
        self.choices.append(choice)
        self.widths.append(len(ready))
        return choice

    def _next_timer(self) -> asyncio.TimerHandle | None:
        return min((timer for timer in self._scheduled if not timer.cancelled()), default=None)

    def _cancel_what_is_due(self) -> None:
        due = {name for step, name in self.cuts if step == self.steps}
        if due and not self.length:
            for task in self.tasks:
                if (ALL in due or task.get_name() in due) and task.cancel():
                    self.struck.append(task.get_name())
            self.cuts = [cut for cut in self.cuts if cut[0] != self.steps]

    def clear_away(self) -> None:
        """Close, and leave no task of a run that failed."""
        self.length = self.length or self.steps or 1
        for _ in range(3):
            for task in self.tasks:
                task.cancel()
            self._until = self.steps + 100
            self.run_forever()
        self.close()


Scenario = Callable[[ExploredLoop], Check]
"""Starts the tasks, and returns what has to hold when they have ended."""


def following(choices: Sequence[int]) -> Pick:
    """Choose as told, then in order."""
    rest = iter(choices)
    return lambda _ready: next(rest, 0)


def by_chance(seed: int, length: int, changes: int = 3) -> Pick:
    """
    Give each task and signal a random priority, and have it lose that a few times in *length*.

    "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.
    """
    chance = random.Random(seed)
    priorities: dict[Any, float] = {}
    when = {chance.randrange(length + 1) for _ in range(changes)}
    moment = 0

    def pick(ready: list[asyncio.Handle]) -> int:
        nonlocal moment
        moment += 1
        owners = [getattr(handle._callback, "__self__", handle) for handle in ready]  # type: ignore[attr-defined]
        for owner in owners:
            priorities.setdefault(owner, chance.random())
        if moment in when:
            priorities[max(owners, key=priorities.__getitem__)] = -moment
        return owners.index(max(owners, key=priorities.__getitem__))

    return pick


def run(
    scenario: Scenario, pick: Pick, cuts: Sequence[Cut] = (), *, haste: int = 0
) -> ExploredLoop:
    """Run once, and check; a failure says how to have it again."""
    loop = ExploredLoop(pick, cuts, haste=haste)
    try:
        check = scenario(loop)
        loop.settle()
        loop.length, loop.haste = loop.steps, 0
        check()
    except Exception as error:
        loop.clear_away()
        how = f"choices={loop.choices}, cuts={list(cuts)}, haste={haste}"
        raise AssertionError(f"{type(error).__name__}: {error}\nwith {how}") from error
    finally:
        loop.close()
    return loop


def replay(
    scenario: Scenario, choices: Sequence[int], cuts: Sequence[Cut] = (), *, haste: int = 0
) -> ExploredLoop:
    """Have a schedule again."""
    return run(scenario, following(choices), cuts, haste=haste)


class Explored(NamedTuple):
    schedules: int
    distinct: int
    complete: bool  # whether these are all there are


def explore(scenario: Scenario, *, haste: int = 0, at_least: int = 0) -> Explored:
    """
    Run so many schedules: by turns one by chance, and the next of all there are, in the order of
    how many choices are not of the first in line.
    """
    limit, seen, count = max(SCHEDULES, at_least), set[tuple[int, ...]](), 0
    line: deque[Iterator[tuple[int, ...]]] = deque([iter([()])])
    while line and count < limit:
        count += 1
        if count % 2:
            if (prefix := next(line[0], None)) is None:
                line.popleft()
                count -= 1
                continue
            loop = replay(scenario, prefix, haste=haste)
            line.append(_deviations(prefix, loop))
        else:
            loop = run(scenario, by_chance(count, len(loop.choices)), haste=haste)
        seen.add(tuple(loop.choices))
    return Explored(count, len(seen), not line)


def _deviations(prefix: tuple[int, ...], loop: ExploredLoop) -> Iterator[tuple[int, ...]]:
    """Return what differs from a run that followed *prefix* in one choice more, shuffled."""
    places = range(len(prefix), len(loop.choices))
    others = [(place, other) for place in places for other in range(1, loop.widths[place])]
    random.Random(len(prefix)).shuffle(others)
    return ((*loop.choices[:place], other) for place, other in others)


def sweep(
    scenario: Scenario,
    name: str,
    *,
    schedules: int,
    then: str | None = None,
    gaps: int = 0,
    haste: int = 0,
) -> int:
    """
    Cancel the task called *name* before every step of so many schedules; return how many of these
    runs had something to cancel.

    With *then*, cancel that one also, so many steps later for each of so many *gaps*.
    """
    length, struck = replay(scenario, (), haste=haste).length, 0
    for number in range(schedules):
        step, ended = 0, False
        while not ended:
            for gap in random.Random(step).sample(range(length), gaps) or [0]:
                cuts = [(step, name)] if then is None else [(step, name), (step + gap, then)]
                pick = by_chance(number, length) if number else following(())
                loop = run(scenario, pick, cuts, haste=haste)
                struck += bool(loop.struck)
                ended = loop.length <= step
            step += 1
    return struck
