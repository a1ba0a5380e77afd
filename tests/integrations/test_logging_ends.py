"""Programs that log until their end, and after the buffer's; and children that go on logging."""

import os

import pytest
from programs import run

BEGIN = """
import atexit, logging, os, sys, threading
from partitioned_buffer import Queue
from partitioned_buffer.integrations.logging import BufferHandler
log = logging.getLogger("app")
log.setLevel("DEBUG")
def ship(lines):
    os.write(1, f"{os.getpid() == parent} {' '.join(lines)}\\n".encode())
parent = os.getpid()
"""

MADE = """
handler = BufferHandler("logs", ship, processing_interval=1000.0)
log.addHandler(handler)
"""


def test_records_of_functions_that_python_calls_at_its_end_still_arrive() -> None:
    out = run(f"""{BEGIN}
atexit.register(log.info, "earlier")   # registered first, called last
{MADE}
atexit.register(log.info, "later")
log.info("body")
""")

    assert out.split() == ["True", "body", "True", "later", "True", "earlier"]


def test_records_of_a_buffer_that_is_drained_at_the_end_arrive() -> None:
    out = run(f"""{BEGIN}{MADE}
other = Queue("other", lambda items: log.info("stored"), processing_interval=1000.0).start()
other.push(1)
""")

    assert out == "True stored\n"


def test_records_that_come_after_all_that_go_to_stderr_and_are_counted() -> None:
    out = run(
        f"""{BEGIN}{MADE}
log.info("body")
logging.shutdown()
log.warning("after")
print(handler.passed.refused, handler.queue.stats().balanced)
""",
        complaint="after\n",
    )

    assert out == "True body\n1 True\n"


def test_a_destination_that_is_down_has_what_is_left_of_exit_timeout() -> None:
    out = run(
        f"""{BEGIN}
from partitioned_buffer._core.buffer import program_end
given = []
class Noted(program_end.Ending):
    def __init__(self, buffer, run, terms, *others):
        given.append(terms.in_all)
        super().__init__(buffer, run, terms, *others)
program_end.Ending = Noted
def ship(lines):
    raise ConnectionError
class Telling(BufferHandler):
    def close(self):
        super().close()
        print(len(given), given[0] <= 0.11, self.queue.stats().held)
log.addHandler(Telling("logs", ship, exit_timeout=0.5))  # four fifths of which are for delivering
log.info("body")
""",
        complaint="1 undelivered are lost",
    )

    assert out == "1 True 1\n"


def test_an_uncaught_exception_and_sys_exit_deliver_too() -> None:
    out = run(
        f"""{BEGIN}{MADE}
log.info("body")
raise SystemExit(3)
""",
        status=3,
    )

    assert out == "True body\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_logs_into_a_buffer_of_its_own_and_counts_anew() -> None:
    out = run(f"""{BEGIN}
import warnings
warnings.simplefilter("ignore")
{MADE}
log.info("parent's")
logging.getLogger("partitioned_buffer").addHandler(handler)
logging.getLogger("partitioned_buffer").propagate = False
logging.getLogger("partitioned_buffer").setLevel("DEBUG")
logging.getLogger("partitioned_buffer").info("quiet")
assert handler.passed.own == 1
if not (child := os.fork()):
    assert handler.passed.own == 0
    log.info("child's")
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
""")

    assert sorted(out.splitlines()) == ["False child's", "True parent's"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_of_multiprocessing_delivers_its_records_at_its_end() -> None:
    out = run(f"""{BEGIN}
import multiprocessing, warnings
warnings.simplefilter("ignore")
{MADE}
child = multiprocessing.get_context("fork").Process(target=log.info, args=("child's",))
child.start()
child.join()
assert child.exitcode == 0
log.info("parent's")
""")

    assert out.splitlines() == ["False child's", "True parent's"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_of_multiprocessing_says_what_it_loses() -> None:
    out = run(
        f"""{BEGIN}
import multiprocessing, warnings
warnings.simplefilter("ignore")
def ship(lines):
    if os.getpid() != parent:
        raise ConnectionError
log.addHandler(BufferHandler("logs", ship, exit_timeout=0.1))
child = multiprocessing.get_context("fork").Process(target=log.info, args=("child's",))
child.start()
child.join()
print(child.exitcode)
""",
        complaint="1 undelivered are lost",
    )

    assert out == "0\n"


def test_a_signal_handler_may_log_in_the_middle_of_anything() -> None:
    # From 3.13.4 on, logging itself leaves out what is logged in the middle of the same logger's
    # handling: so what counts is what the handler was told.
    out = run(f"""{BEGIN}
import signal
delivered, told, seen = [], [], []
handler = BufferHandler("logs", delivered.extend)
handler.addFilter(lambda record: told.append(record.msg) or True)
log.addHandler(handler)
signal.signal(signal.SIGALRM, lambda *_: (seen.append(1), log.info("signal")))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
count = 0
while len(seen) < 100:
    log.info("body %s", [count])
    count += 1
signal.setitimer(signal.ITIMER_REAL, 0)
handler.close()
stats = handler.queue.stats()
print(stats.balanced, stats.delivered + handler.passed.refused == len(told) > count)
print(delivered.count("signal") + handler.passed.refused == told.count("signal") > 0)
""")

    assert out == "True True\nTrue\n"
