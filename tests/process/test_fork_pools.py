"""Pools of processes: what they write is delivered at their end."""

import os

import pytest
from forks import run, under_load

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

POOL = """
import multiprocessing, os, warnings
from concurrent.futures import ProcessPoolExecutor
warnings.simplefilter("ignore")
from partitioned_buffer import Map, Queue
def record(batch):
    for item in batch:
        item = getattr(item, "key", item)
        os.write(1, f"{os.getpid()} {item}\\n".encode())
queue = Queue("queue", record, partitions=2, processing_interval=1000.0).start()
mapped = Map("map", record, partitions=2, processing_interval=1000.0).start()
def write(number):
    queue.push(f"{os.getpid()} queue {number}")
    mapped.put(f"{os.getpid()} map {number}", number)
context = multiprocessing.get_context("fork")
write(-1)
"""

POOLS = {
    "Process": """
processes = [context.Process(target=write, args=(number,)) for number in range(20)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Process that fails": """
def fail(number):
    write(number)
    raise SystemExit(1)
processes = [context.Process(target=fail, args=(number,)) for number in range(20)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Process started by a thread": """
import threading
def spawn(number):
    process = context.Process(target=write, args=(number,))
    process.start()
    process.join()
threads = [threading.Thread(target=spawn, args=(number,)) for number in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    "Process of a Process": """
def spawn(number):
    write(number)
    process = context.Process(target=write, args=(number + 10,))
    process.start()
    process.join()
processes = [context.Process(target=spawn, args=(number,)) for number in range(10)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Pool": """
with context.Pool(3) as pool:
    pool.map(write, range(20), chunksize=1)
    pool.close()
    pool.join()
""",
    "Pool that renews its processes": """
with context.Pool(3, maxtasksperchild=2) as pool:
    pool.map(write, range(20), chunksize=1)
    pool.close()
    pool.join()
""",
    "ProcessPoolExecutor": """
with ProcessPoolExecutor(3, mp_context=context) as pool:
    list(pool.map(write, range(20)))
""",
}


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(pool, id=name, marks=under_load if "threads" in pool else ())
        for name, pool in POOLS.items()
    ],
)
def test_what_the_processes_of_a_pool_write_is_delivered_at_their_end(pool: str) -> None:
    lines = run(POOL + pool).splitlines()

    deliveries = [line.split() for line in lines]
    assert len(deliveries) == 42
    assert all(deliverer == writer for deliverer, writer, _, _ in deliveries)
    assert sorted((kind, int(number)) for _, _, kind, number in deliveries) == [
        (kind, number) for kind in ("map", "queue") for number in range(-1, 20)
    ]


def test_a_processor_may_use_a_process() -> None:
    program = (
        POOL
        + """
def processor(batch):
    process = context.Process(target=write, args=(len(batch),))
    process.start()
    process.join()
    record(batch)
with Queue("spawns", processor, partitions=1) as spawns:
    spawns.push_all([f"{os.getpid()} item", f"{os.getpid()} item"])
"""
    )
    deliveries = [line.split() for line in run(program).splitlines()]

    assert all(deliverer == writer for deliverer, writer, *_ in deliveries)
    assert sorted(" ".join(what) for _, _, *what in deliveries) == [
        "item",
        "item",
        "map -1",
        "map 2",
        "queue -1",
        "queue 2",
    ]


def test_a_child_that_ends_like_a_program_is_drained_like_one() -> None:
    program = (
        POOL
        + """
if os.fork() == 0:
    write(0)
else:
    os.wait()
"""
    )
    deliveries = [line.split() for line in run(program).splitlines()]

    assert len(deliveries) == 4
    assert all(deliverer == writer for deliverer, writer, _, _ in deliveries)
