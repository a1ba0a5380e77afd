"""The twin's steps, read as bytecode: while one has the lock, no other code runs."""

import dis
import importlib
import inspect
import re
from collections.abc import Iterator
from types import CodeType, ModuleType

import pytest
from bytecode import zones

TABLES = ("table", "queue", "map", "map_held", "map_flight", "room")
BACKING = ("leading", "room", "queue.landing", "queue.line")
MODULES = [*(f"tables.{name}" for name in TABLES), *(f"backing.{name}" for name in BACKING)]
PARTING = re.compile(
    # A call, a way back, a start, a pause: where CPython looks for signals and other threads.
    r"CALL|PRECALL|.*JUMP_BACKWARD|RESUME|SEND|YIELD|FOR_ITER|GET_ITER|IMPORT|"
    # A new container: where Python 3.11 collects garbage.
    r"BUILD_|LIST_|DICT_|SET_|MAKE_|UNPACK_EX|BINARY_SLICE|STORE_SLICE|FORMAT_|LOAD_BUILD_CLASS"
)


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def parting(source: str) -> list[str]:
    """Return the instructions in zones of *source* that may let other code run."""
    found, lines, bad = zones(source), source.splitlines(), []
    for code in codes(compile(source, "twin", "exec")):
        instructions = list(dis.get_instructions(code))
        line_at = {i.offset: i.positions.lineno for i in instructions if i.positions}
        for instruction in instructions:
            line = line_at.get(instruction.offset)
            zone = next((zone for zone in found if line in zone), None)
            if line is None or zone is None or not PARTING.match(instruction.opname):
                continue
            if "JUMP" in instruction.opname and line_at.get(instruction.argval) not in zone:
                continue  # out of the zone, which ends a loop's body: there all is done
            bad.append(f"{code.co_qualname}: {instruction.opname}: {lines[line - 1].strip()}")
    return bad


def module(name: str) -> ModuleType:
    return importlib.import_module(f"partitioned_buffer._core.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_nothing_parts_a_zone(name: str) -> None:
    assert not parting(inspect.getsource(module(name)))


@pytest.mark.parametrize("name", [name for name in MODULES if name != "tables.room"])
def test_there_are_zones_to_read(name: str) -> None:
    assert zones(inspect.getsource(module(name)))


@pytest.mark.parametrize(
    "statement",
    [
        "note(self)",
        "pair = self, lock",
        "items = [self]",
        "self.items.append(1)",
        "for item in self: pass",
        "while self: pass",
        "part = self[1:lock]",
        "self[1:lock] = self",
        "class Inner: pass",
        "inner = lambda: self",
    ],
)
def test_what_parts_a_zone_is_seen(statement: str) -> None:
    zone = f"    _ = lock.take\n    try:\n        {statement}\n    finally:\n        _ = lock.free"
    assert parting(f"def f(self, lock):\n{zone}\n    return 1")
