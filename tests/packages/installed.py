"""
See whether a package that was installed by itself is whole, and say which tables it has.

    PYTHONPATH=FOLDER python tests/packages/installed.py FOLDER c|python
"""

import asyncio
import importlib.util
import sys
from pathlib import Path

import partitioned_buffer
from partitioned_buffer import AsyncQueue, Map, Queue
from partitioned_buffer.testing import assert_balanced, implementation

FOLDER, WANTED = Path(sys.argv[1]).resolve(), sys.argv[2]
SPEED = "partitioned_buffer._core.tables._speed"


def the_files_are_these() -> None:
    package = Path(partitioned_buffer.__file__).parent
    assert package.is_relative_to(FOLDER), f"{package} is another one"
    assert (package / "py.typed").is_file()
    left = [path.name for path in package.rglob("*") if path.suffix in {".c", ".h"}]
    assert not left, f"sources are no use here: {left}"
    scripts = package / "storage" / "redis"
    named = (scripts / "scripts.py").read_text()
    assert all(f'"{path.stem}"' in named for path in (scripts / "lua").iterdir())
    assert (scripts / "lua" / "append.lua").is_file(), "what runs on servers is missing"
    page = package / "dashboard" / "static"
    names = ["index.html", "js/main.js", "vendor/uPlot.iife.min.js", "vendor/LICENSE.uPlot"]
    assert all((page / name).is_file() for name in names), "the page is missing"
    compiled = importlib.util.find_spec(SPEED)
    assert (compiled is not None) == (WANTED == "c")
    assert compiled is None or Path(str(compiled.origin)).is_relative_to(FOLDER)
    assert implementation() == WANTED


def threads_deliver() -> None:
    items: list[int] = []
    with Queue[int]("items", items.extend, partitions=1, max_size=1000) as queue:
        queue.push(0)
        queue.push_all(range(1, 100))
    assert items == list(range(100))
    assert_balanced(queue.stats())

    sums: dict[object, int] = {}

    def note(entries: list[partitioned_buffer.Entry[object, int]]) -> None:
        sums.update({entry.key: entry.value for entry in entries})

    with Map[object, int]("sums", note, merge=lambda old, new: old + new) as mapped:
        for number in range(100):
            mapped.put(number % 3, number)
            mapped.put(Path("a key that runs code"), 1)  # is boxed
    assert sums == {0: 1683, 1: 1617, 2: 1650, Path("a key that runs code"): 100}
    assert_balanced(mapped.stats())


async def tasks_deliver() -> None:
    items: list[int] = []
    async with AsyncQueue[int]("items", items.extend, partitions=1) as queue:
        await queue.push(1)
        queue.push_nowait(2)
    assert items == [1, 2]
    assert_balanced(queue.stats())


if __name__ == "__main__":
    the_files_are_these()
    threads_deliver()
    asyncio.run(tasks_deliver())
    sys.stdout.write(f"{FOLDER.name}: {implementation()}\n")
