"""
The misfortunes: each runs in a process of its own, and prints what it saw.

    python -m benchmarks.behaviour.scenarios SUBJECT SCENARIO FILE LIMIT FORKS POLICY

FILE is where items arrive. Nothing here knows what the outcome should be.
"""

import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .over_http import Influx, PostHog, Segment, Sentry
from .subjects import (
    Culsans,
    FlushQueue,
    Janus,
    Listener,
    OpenTelemetry,
    Ours,
    Standard,
    TimedBatch,
)
from .trial import (
    A_WHILE,
    PATIENCE,
    Call,
    Setup,
    Sink,
    Subject,
    Trial,
    Writes,
    name,
    printed,
    twice,
    wait_until,
)

SUBJECTS: dict[str, type[Subject]] = {
    "Queue": Ours,
    "OpenTelemetry logs": OpenTelemetry,
    "Sentry logs": Sentry,
    "influxdb-client": Influx,
    "Segment": Segment,
    "PostHog": PostHog,
    "logging.QueueListener": Listener,
    "queue.Queue and a thread": Standard,
    "janus and a thread": Janus,
    "culsans and a thread": Culsans,
    "flushq": FlushQueue,
    "timed-batch-worker": TimedBatch,
}
CHILDS, EARLIER, LATE = 1_000_000, 1_000_001, 1_000_002  # not counted with the others
SETTLE = 0.3  # seconds in which a worker takes what it can
OUTAGE = 30.0  # seconds
A_BIT = 5.0  # seconds given to a child's stop


def full(trial: Trial) -> str:
    """Write three times what there is room for, while the sink is blocked."""
    trial.sink.opened = False
    subject, quiet = trial.make(bounded=True), printed()
    writes = Writes(subject, range(3 * trial.kind.bound))
    call = Call(writes.run)
    before = -1
    while call.seconds is None and writes.tried > before:
        before = writes.tried
        call.within(2.0)
    blocked, told = call.seconds is None, "logged" if printed() > quiet else "silently"
    trial.sink.opened = True
    call.within(trial.limit)
    time.sleep(SETTLE)
    Call(lambda: subject.stop(PATIENCE)).within(trial.limit)
    time.sleep(SETTLE)
    return _fate(trial, writes, told, blocked) + twice(trial.sink.arrived(), writes.items)


def _fate(trial: Trial, writes: Writes, told: str, blocked: bool) -> str:
    """Say which items are missing in the end, and what told of it."""
    there = trial.sink.arrived()
    lost = [item for item in writes.accepted if item not in there]
    if blocked or writes.errors:
        what = "blocks" if blocked else f"raises {name(writes.errors[-1])}"
        return f"{what}, loses {len(lost)}" if lost else what
    missing = len(lost) + writes.refused
    if not missing:
        return f"keeps all {len(writes.items)}"
    which = "oldest" if writes.items[-1] in there else "newest"
    counted = writes.subject.lost()
    if counted is not None:
        told = f"counts {counted} of {missing}"
    elif not lost:
        told = "put says so"
    return f"drops {which}, {told}"


def failure(trial: Trial) -> str:
    """The first call of the sink fails; as many items again are written afterwards."""
    trial.sink.failures = 1
    subject = trial.make()
    Writes(subject, range(50)).run()
    wait_until(lambda: trial.sink.failed > 0)
    time.sleep(SETTLE)
    second = Writes(subject, range(50, 100))
    Call(second.run).within(trial.limit)
    if trial.wait(100) < 100:
        Call(lambda: subject.stop(PATIENCE)).within(trial.limit)
    raised = f", then put raises {name(second.errors[0])}" if second.errors else ""
    return trial.tally(100) + raised


def flush(trial: Trial) -> str:
    """Flush with a timeout of a second while the sink is blocked; look later what got lost."""
    trial.sink.opened = False
    subject = trial.make()
    Writes(subject, range(50)).run()
    time.sleep(SETTLE)
    call = Call(lambda: subject.flush(1.0))
    what = call.within(trial.limit)
    if isinstance(call.error, NotImplementedError):
        return "has none"
    trial.sink.opened = True
    count = trial.wait(50)
    lost = "nothing lost" if count == 50 else f"{50 - count} lost"
    return f"{what}, {lost}{twice(trial.sink.arrived(), range(50))}"


def stop(trial: Trial) -> str:
    """Stop with a timeout of a second while the sink is blocked."""
    trial.sink.opened = False
    subject = trial.make(1.0)
    Writes(subject, range(50)).run()
    time.sleep(SETTLE)
    return Call(lambda: subject.stop(1.0)).within(trial.limit)


def graceful(trial: Trial) -> str:
    """Write some and stop, with time enough."""
    subject = trial.make()
    Writes(subject, range(50)).run()
    call = Call(lambda: subject.stop(PATIENCE))
    what = call.within(A_WHILE)
    count = trial.tally(50)
    return count if call.seconds is not None and not call.error else f"{count}, {what}"


def late(trial: Trial) -> str:
    """Write after a graceful stop."""
    subject = trial.make()
    Writes(subject, range(1)).run()
    Call(lambda: subject.stop(PATIENCE)).within(A_WHILE)
    counted, quiet = subject.lost(), printed()
    call = Call(lambda: subject.put(LATE))
    what = call.within(trial.limit)
    if call.seconds is None or call.error:
        return what.partition(" after")[0]
    if call.value is False:
        return "refused: put says so"
    time.sleep(2.0)
    if LATE in trial.sink.arrived():
        return "delivered"
    if subject.lost() != counted:
        return "lost, counted"
    return "lost, logged" if printed() > quiet else "lost, silently"


def leave(trial: Trial) -> None:
    """Write and come to the end of the program, just short of the largest default batch."""
    global kept  # as in a program, where somebody holds it
    kept = trial.make()
    Writes(kept, range(999)).run()


kept: Any = None


def outage(trial: Trial) -> str:
    """The sink is down for half a minute, while items wait; how many arrive in the minute after."""
    trial.sink.failures = 1_000_000
    subject = trial.make()
    writes = Writes(subject, range(50))
    Call(writes.run).within(trial.limit)
    time.sleep(OUTAGE)
    trial.sink.failures = 0
    ends = time.monotonic() + 2 * OUTAGE
    while trial.count(50) < 50 and time.monotonic() < ends:
        time.sleep(0.1)
    return trial.tally(50)


def pipeline(trial: Trial) -> None:
    """One writes to another; write to the first, and come to the end of the program."""
    global kept
    second = trial.make()
    kept = (second, trial.make_before(second))
    Writes(kept[1], range(100)).run()


def unheard(trial: Trial) -> str:
    """The sink is down, logging is not set up, and one stops: what is said of what is lost?"""
    trial.sink.failures = 1_000_000
    subject, quiet = trial.make(2.0), printed()
    Writes(subject, range(50)).run()
    time.sleep(SETTLE)
    what = Call(lambda: subject.stop(2.0)).within(trial.limit)
    told = "said" if printed() > quiet else "silently"
    ending = ", no return" if what.startswith("no return") else ""
    return f"{50 - trial.count(50)} undelivered, {told}{ending}"


class TimeLimit(Exception):
    """What a soft time limit raises."""


def limited(trial: Trial) -> str:
    """A signal in every write, at some instant, whose handler raises: does that come out?"""
    rng, came, out = random.Random(1), 0, 0
    subject = trial.make()
    is_writing = False

    def handler(*_: object) -> None:
        nonlocal came
        if is_writing:
            came += 1
            raise TimeLimit

    signal.signal(signal.SIGALRM, handler)
    accepted = []
    for item in range(2000):
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 6e-5))
            is_writing = True
            subject.put(item)
            is_writing = False
            accepted.append(item)
        except TimeLimit:
            is_writing = False
            out += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    what = Call(lambda: subject.stop(PATIENCE)).within(A_WHILE)
    there = trial.sink.arrived()
    lost = sum(not there[item] for item in accepted)
    ending = ", no return" if what.startswith("no return") else ""
    swallowed = "all come out" if came == out else "some are swallowed"
    return f"{swallowed}, {'nothing' if not lost else 'some'} lost{ending}"


def terminated(trial: Trial) -> None:
    """The sink is down, and the program is told to end, as servers are: SIGTERM."""
    global kept
    trial.sink.failures = 1_000_000
    kept = trial.kind(Setup(trial.sink, letters=trial.sink.letters))
    Writes(kept, range(50)).run()
    time.sleep(SETTLE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SETTLE)


def fork(trial: Trial) -> str:
    """Fork while items wait; the child writes one, stops gracefully and exits."""
    subject = trial.make(A_BIT)
    subject.put(EARLIER)  # a program that has been at work
    wait_until(lambda: EARLIER in trial.sink.arrived())
    trial.sink.opened = False
    Writes(subject, range(50)).run()
    time.sleep(SETTLE)
    child = os.fork()
    if not child:
        trial.sink.opened = True
        subject.put(CHILDS)
        subject.stop(A_BIT)
        sys.exit()
    trial.sink.opened = True
    hung, failed = _wait({child}, A_WHILE)
    trial.wait(50)
    Call(lambda: subject.stop(A_BIT)).within(A_WHILE)
    there = trial.sink.arrived()
    what = ("lost", "delivered")[there[CHILDS]] if there[CHILDS] < 2 else "delivered twice"
    what += ", child hangs" if hung else ", child fails" if failed else ""
    if lost := 50 - trial.count(50):
        what += f"; {lost} of the parent's lost"
    return what + twice(there, range(50)).replace("them", "the parent's")


def fork_under_load(trial: Trial) -> str:
    """
    Fork while one thread writes, and while four do; each child writes one item.

    Where a fork finds a writer is chance, and the chance is another one when writers contend.
    """
    trial.sink.discards = True
    subject = trial.make()
    subject.put(EARLIER)  # a program that has been at work: no module is half imported
    ended = threading.Event()

    def hammer() -> None:
        while not ended.is_set():
            subject.put(0)

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
    children: set[int] = set()
    for count in range(trial.forks):
        for thread in threads[: 4 if count >= trial.forks // 2 else 1]:
            if thread.ident is None:
                thread.start()
        time.sleep(0.01)
        child = os.fork()
        if not child:
            _put_and_end(subject)
        children.add(child)
    if not all(thread.is_alive() for thread in threads):
        raise RuntimeError("a writer died")
    ended.set()
    hung, failed = _wait(children, A_WHILE)
    return f"{hung} of {trial.forks}" + (f", {failed} fail" if failed else "")


def _put_and_end(subject: Subject) -> None:
    try:
        subject.put(CHILDS)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _wait(children: set[int], limit: float) -> tuple[int, int]:
    """Return how many of the children did not end in time, and were killed; and how many failed."""
    ends, failed = time.monotonic() + limit, 0
    while children and time.monotonic() < ends:
        time.sleep(0.05)
        for child in list(children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                children.discard(child)
                failed += status != 0
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children), failed


SCENARIOS: dict[str, Callable[[Trial], Any]] = {
    f.__name__: f
    for f in (
        *(full, failure, flush, stop, graceful, late, leave, fork, fork_under_load),
        *(outage, pipeline, unheard, limited, terminated),
    )
}


def main(*arguments: str) -> None:
    """Run one."""
    subject, scenario, path, limit, forks, policy = arguments
    warnings.simplefilter("ignore", DeprecationWarning)  # that forking with threads is risky
    trial = Trial(SUBJECTS[subject], Sink(Path(path)), float(limit), int(forks), policy or None)
    told = SCENARIOS[scenario](trial)
    if told is not None:
        print(told, flush=True)
        os._exit(0)  # whatever still hangs


if __name__ == "__main__":
    main(*sys.argv[1:])
