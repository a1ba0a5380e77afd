"""Writes and starts after the drain, at the end of the interpreter, and in one of several."""

import sys

import pytest
from programs import ALL, BEGIN, run

# --- too late ------------------------------------------------------------------

LATE = f"""{BEGIN}
def attempt(what, write=os.write, error=Exception):
    try:
        what()
    except error as raised:
        write(1, f"{{raised}}\\n".encode())
class Late:
    def __init__(self, what):
        self.what, self.attempt = what, attempt
    def __del__(self):
        self.attempt(self.what)
"""

NOT_STARTED = (
    "buffer 'late' could not be started: the interpreter is ending, and would not wait for it\n"
)
STOPPED = "buffer 'events' has been stopped: write before stop(), or start() it again\n"


def test_a_push_after_the_drain_is_refused() -> None:
    program = f"""{LATE}
atexit.register(lambda: attempt(lambda: queue.push(1)))
queue = keep(Queue("events", deliver)).start()
queue.push(0)
"""

    assert run(program) == STOPPED + "1 1 0 True\n"


def test_a_push_while_modules_are_torn_down_is_refused() -> None:
    program = f"""{LATE}
queue = keep(Queue("events", deliver)).start()
queue.push(0)
late = Late(lambda push=queue.push: push(1))
"""

    told, error = run(program).split("\n", 1)

    assert told == "1 1 0 True"
    if sys.version_info < (3, 13) or sys._is_gil_enabled():  # else modules are gone before objects
        assert error == STOPPED
    assert error


def test_a_start_after_the_drain_is_refused_rather_than_never_drained() -> None:
    program = f"""{LATE}
late = Queue("late", deliver)
atexit.register(lambda: attempt(late.start))
keep(Queue("events", deliver)).start().push(0)
"""

    assert run(program) == NOT_STARTED + "1 1 0 True\n"


def test_a_start_while_modules_are_torn_down_is_refused_and_does_not_hang() -> None:
    program = f"""{LATE}
late = Late(Queue("late", deliver).start)
"""

    assert run(program) == "True\n" + NOT_STARTED


def test_a_start_in_a_handler_before_the_drain_is_drained_or_refused() -> None:
    program = f"""{LATE}
keep(Queue("events", deliver)).start().push(0)
late = Queue("late", deliver)
atexit.register(lambda: attempt(lambda: keep(late.start()).push(1)))
"""

    printed = run(program)

    if sys.version_info[:2] == (3, 12):  # starts no thread any more, once handlers are called
        assert "buffer 'late' could not be started: can't create new thread" in printed
        assert printed.endswith("1 1 0 True\n")
    else:
        assert printed == "1 1 0 1 1 0 True\n"


# --- subinterpreters -----------------------------------------------------------

SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
    made = interpreters.create(KIND)
    run = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated=KIND == "isolated")
    run = interpreters.run_string
# The thread that came with the interpreter in 3.11 and 3.12 ran the code; nothing is returned.
failed = run(made, CODE)
assert failed is None, failed
interpreters.destroy(made)
print("destroyed")
"""


def run_in_subinterpreter(kind: str, code: str) -> str:
    return run(f"KIND, CODE = {kind!r}, {BEGIN + code!r}\n{SUBINTERPRETER}")


def test_an_isolated_subinterpreter_refuses_to_start_a_buffer() -> None:
    code = """
queue = keep(Queue("events", deliver))
try:
    queue.start()
except BufferNotRunning as error:
    print(error, flush=True)
"""
    why = (
        "thread is not supported for isolated subinterpreters"
        if sys.version_info < (3, 12)
        else "daemon threads are disabled in this (sub)interpreter"
    )

    printed = run_in_subinterpreter("isolated", code)

    assert printed.startswith(f"buffer 'events' could not be started: {why}\n")
    assert printed.endswith("destroyed\n")


def test_a_subinterpreter_that_allows_threads_delivers_and_can_be_destroyed() -> None:
    code = """
for number in range(20):
    with keep(Queue("events", deliver, partitions=3)) as queue:
        queue.push(number)
    assert threading.active_count() == 1  # one that is left crashes what destroys the interpreter
atexit.unregister(tell)
tell()
sys.stdout.flush()
"""

    assert run_in_subinterpreter("legacy", code) == "1 1 0 " * 20 + "True\ndestroyed\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 destroys none with threads")
def test_a_subinterpreter_that_is_destroyed_drains_its_buffers() -> None:
    code = """
keep(Queue("events", deliver, partitions=3)).start().push_all(range(1000))
"""

    assert run_in_subinterpreter("legacy", code) == ALL + "destroyed\n"
