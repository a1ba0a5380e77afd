"""Buffers that feed each other, and what else a processor needs, at a program's end."""

from pathlib import Path

import pytest
from programs import run

BEGIN = """
import atexit, logging, sys, threading
from partitioned_buffer import Map, Queue, Reject, Retry
out = []
def tell():
    print(len(out), *sorted(b.stats().held for b in made), all(b.stats().balanced for b in made))
made = []
atexit.register(tell)  # called after the library's own handler
def keep(buffer):
    made.append(buffer)
    return buffer.start()
def queue(name, processor, **options):
    return keep(Queue(name, processor, **{"partitions": 1, "exit_timeout": 20.0} | options))
"""

# Python 3.12 starts no thread once the end has begun: there a pool needs its threads before that.
POOL = """
from concurrent.futures import ThreadPoolExecutor
pool, both = ThreadPoolExecutor(2), threading.Barrier(2)
if sys.version_info[:2] == (3, 12):
    list(pool.map(lambda _: both.wait(), range(2)))
"""

DELIVERED = {
    "a chain of three": """
third = queue("third", out.extend)
second = queue("second", third.push_all)
first = queue("first", second.push_all)
first.push_all(range(100))
""",
    "a chain of three, started from its head": """
first = queue("first", lambda batch: second.push_all(batch))
second = queue("second", lambda batch: third.push_all(batch))
third = queue("third", out.extend)
first.push_all(range(100))
""",
    "a chain over a Map": """
last = keep(Map("last", lambda batch: out.extend(e.key for e in batch), partitions=2))
first = queue("first", lambda batch: last.put_all((item, None) for item in batch), partitions=3)
first.push_all(range(100))
""",
    "dead letters into another buffer": """
letters = queue("letters", out.extend)
def refuse(batch):
    raise Reject()
def park(items, error, attempts):
    letters.push_all(items)
logging.disable()
orders = queue("orders", refuse, dead_letter=park)
orders.push_all(range(100))
""",
    "a circle of five hops": """
def hop(to):
    def processor(batch):
        for item, hops in batch:
            if hops:
                to().push((item, hops - 1))
            else:
                out.append(item)
    return processor
a = queue("a", hop(lambda: b))
b = queue("b", hop(lambda: a))
a.push_all((n, 5) for n in range(100))
""",
    "a processor with a pool of threads": POOL
    + """
second = queue("second", out.extend)
first = queue("first", lambda batch: list(pool.map(second.push, batch)))
first.push_all(range(100))
""",
    "a processor with a pool of threads, imported after the start": """
second = queue("second", out.extend)
first = queue("first", lambda batch: list(pool.map(second.push, batch)))
"""
    + POOL
    + """
first.push_all(range(100))
""",
    "calls left to a pool of threads": POOL
    + """
second = queue("second", out.extend)
first = queue("first", lambda batch: [pool.submit(second.push, item) for item in batch])
first.push_all(range(100))
""",
    "a logging handler that pushes": """
class Handler(logging.Handler):
    def emit(self, record):
        logs.push(record.getMessage())
logs = queue("logs", len)
logging.getLogger().addHandler(Handler())
calls = []
def flaky(batch):
    calls.append(batch)
    if len(calls) % 2:
        raise OSError("every other time")
    out.extend(batch)
orders = queue("orders", flaky, retry=Retry(wait_initial=0.01, wait_max=0.01))
orders.push_all(range(100))
""",
    "threads that write on": """
first = queue("first", out.extend)
def write():
    threading.main_thread().join()
    first.push_all(range(100))
threading.Thread(target=write).start()
""",
}


@pytest.mark.parametrize("program", DELIVERED.values(), ids=DELIVERED.keys())
def test_all_is_delivered(program: str) -> None:
    delivered, *rest = run(BEGIN + program).split()

    assert (delivered, set(rest[:-1]), rest[-1]) == ("100", {"0"}, "True")


def test_a_destination_that_is_down_costs_its_own_buffer_alone() -> None:
    program = """
    def down(batch):
        raise OSError("down")
    logging.getLogger("partitioned_buffer").setLevel("CRITICAL")
    bad = queue("bad", down, exit_timeout=0.5)
    good = queue("good", out.extend)
    middle = queue("middle", good.push_all)
    bad.push_all(range(10)), middle.push_all(range(100))
    """

    assert run(BEGIN + program.replace("\n    ", "\n")) == "100 0 0 10 True\n"


@pytest.mark.parametrize("spoilt", ["counts", "close", "__len__", "exit_timeout"])
def test_one_that_misbehaves_spoils_nobodys_end(spoilt: str) -> None:
    program = f"""
class Spoilt:
    def __init__(self, good, names):
        self.good, self.names = good, names
    def __getattr__(self, name):
        if name in self.names:
            raise ValueError("spoilt")
        return getattr(self.good, name)
    def __len__(self):
        return self.__getattr__("__len__")()
bad = queue("bad", len, exit_timeout=0.5)
good = queue("good", out.extend)
second = queue("second", good.push_all)
second.push_all(range(100))
bad.push(1)
if {spoilt!r} == "exit_timeout":
    bad._settings = Spoilt(bad._settings, {spoilt!r})
else:
    bad._partitions[0].table = Spoilt(bad._partitions[0].table, {spoilt!r})
made.clear()
"""

    assert run(BEGIN + program, complaint="spoilt") == "100 True\n"


def test_a_circle_without_end_ends_with_its_time_and_says_what_it_leaves() -> None:
    program = """
a = queue("a", lambda batch: b.push_all(batch), exit_timeout=0.3)
b = queue("b", lambda batch: a.push_all(batch), exit_timeout=0.3)
a.push_all(range(100))
made.clear()
"""

    run(BEGIN + program, complaint="undelivered are lost")


FILE = """
import sys
from partitioned_buffer.dead_letters import DeadLetterFile
def down(batch):
    raise ConnectionError("down")
logging.getLogger("partitioned_buffer").setLevel("WARNING")
"""


def test_what_is_left_is_in_the_dead_letter_file(tmp_path: Path) -> None:
    program = f"""{FILE}
path = {str(tmp_path / "letters.jsonl")!r}
letters = DeadLetterFile(path)
orders = queue("orders", down, dead_letter=letters, exit_timeout=2.0, partitions=3)
orders.push_all(range(50)), orders.push_all(range(50, 100))
def count():
    print(sum(1 for _ in open(path)), orders.stats().dead_lettered)
atexit.unregister(tell)
"""
    # Called after the library's handler, so registered in front of the first start.
    program = program.replace("letters =", "atexit.register(lambda: count())\nletters =", 1)

    printed = run(BEGIN + program, complaint="100 undelivered were handed to its dead_letter")

    assert printed == "100 100\n"


def test_what_is_lost_is_said_on_stderr_with_why_and_what_to_do() -> None:
    program = f"""{FILE}
queue("orders", down, exit_timeout=0.2).push_all(range(100))
queue("mails", down, exit_timeout=0.2).push_all(range(7))
"""

    for name, size in (("orders", 100), ("mails", 7)):
        line = (
            f"buffer '{name}' was not stopped before the program's end: {size} undelivered are "
            "lost (ConnectionError('down')). Give it a dead_letter (a DeadLetterFile, say), which "
            "gets what is left, or a longer exit_timeout"
        )
        assert run(BEGIN + program, complaint=line) == "0 7 100 True\n"
