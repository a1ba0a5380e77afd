"""A tracer in C that has a signal pending at the n-th opcode, compiled where it is used."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from helpers import ROUNDS

R = TypeVar("R")
S = TypeVar("S")


def compiled(folder: Path) -> Any:
    """Return the module of `trip.c`, made in *folder*; skip where that cannot be."""
    if not hasattr(signal, "pthread_kill"):
        pytest.skip("no signals that a tracer could set")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("the tracer is made for the GIL, under which signals are looked at by opcode")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if compiler is None or not header.exists():
        if os.environ.get("CI"):
            pytest.fail("no compiler for the tracer")
        pytest.skip("no compiler for the tracer")
    made = folder / f"trip{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = Path(__file__).with_name("trip.c")
    flags = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    command = [compiler, "-O1", "-fPIC", "-shared", *flags, f"-I{header.parent}"]
    subprocess.run([*command, str(source), "-o", str(made)], timeout=120, check=True)
    spec = importlib.util.spec_from_file_location("trip", made)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SWALLOWING = {"WeakSet.__init__.<locals>._remove", "Handler.handle"}
"""A finalizer, and a logging handler, of the standard library's: they let nothing out."""

ELSEWHERE = {
    *("SharedServer.admit", "SharedServer.layouts", "SharedServer.append", "SharedServer.get"),
    *("News.listen", "News.listen.<locals>.end", "News.tell"),
}
"""What would be done in another process, which has the signal not."""


class TimeLimit(Exception):
    """What a soft time limit raises."""


class Interrupts:
    """One signal, whose handler raises, at the n-th opcode of what is called here."""

    def __init__(self, trip: Any) -> None:
        if sys.version_info[:2] == (3, 12):
            pytest.skip(
                "3.12 crashes where a generator that was traced by opcodes ends in another thread"
            )
        self._trip = trip
        self.came: list[BaseException] = []
        self._kind: type[BaseException] = TimeLimit

    @contextmanager
    def session(self) -> Iterator[None]:
        """Trace meanwhile; what was called twice is traced by opcodes."""
        before = signal.signal(signal.SIGUSR1, self._handle)
        self._trip.begin(".py")
        try:
            yield
        finally:
            self._trip.end()
            signal.signal(signal.SIGUSR1, before)

    def places(self, last: int, few: int = 40) -> Iterator[int]:
        """Return one place after the other: all in `make soak`, else a *few* of *last*."""
        step = 1 if ROUNDS >= 1 else max(1, round(last / (10 * few * ROUNDS)))
        for turn, at in enumerate(range(1, last + 2, step)):
            self._kind = (TimeLimit, KeyboardInterrupt)[turn % 2]
            yield at

    def come_at(self, at: int) -> None:
        """Come at the opcode *at* of all that is called from now on."""
        self.came.clear()
        self._trip.at(at, signal.SIGUSR1)

    @property
    def seen(self) -> int:
        """How many opcodes there were since."""
        return int(self._trip.seen())

    def during(self, call: Callable[[], R]) -> R:
        """Make *call*, in the middle of which it may come."""
        self._trip.go()
        try:
            return call()
        finally:
            self._trip.rest()

    def try_all(
        self,
        subject: Callable[[], S],
        call: Callable[[S], object],
        trouble: Callable[[S], str | None],
    ) -> None:
        """Come in one call of a new subject after the other, at one place after the other."""

        def interrupted(at: int) -> str | None:
            """Say what is wrong, if anything is."""
            made, raised = subject(), None
            self.come_at(at)
            try:
                self.during(lambda: call(made))
            except (TimeLimit, KeyboardInterrupt) as error:
                raised = error.with_traceback(None)  # whose frames may have a store that is open
            return self.swallowed(raised) or trouble(made)

        with self.session():
            wrong = [interrupted(10**9) for _ in range(3)][-1]
            last = self.seen
            assert wrong is None
            for at in self.places(last):
                wrong = interrupted(at)
                assert wrong is None, f"opcode {at} of {last}: {wrong}"

    def swallowed(self, raised: BaseException | None) -> str | None:
        """Return what is wrong if something else came out than came."""
        if len(self.came) > 1 or (self.came and raised is not self.came[0]):
            return f"{self.came} came, {raised!r} was raised"
        return None

    def _handle(self, _: int, frame: Any) -> None:
        where = list(_frames(frame))
        if (SWALLOWING | ELSEWHERE).intersection(where):
            return
        self.came.append(self._kind(" < ".join(where[:8])))
        raise self.came[-1]


def _frames(frame: Any) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_qualname
        frame = frame.f_back
