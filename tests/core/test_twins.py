"""Both implementations, and the stub of the one in C, have the same methods that take the same."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from implementations import ARGUMENTS, NAMES, WRITERS, load

import partitioned_buffer

TABLES = Path(partitioned_buffer.__file__).parent / "_core" / "tables"
ONLY_IN_PYTHON = {
    "QueueTable": {"next"},  # the writer's, which in C goes by numbers
    "Room": {"is_mine", "limit", "limit_bytes", "lock"},  # its steps, which in C nobody can be in
}
ATTRIBUTES = {"closed", "delivered"}
"""Of tables, which are properties in the stub."""


def public(owner: Any) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def made(kind: Any) -> Any:
    name = kind.__name__
    return kind(*ARGUMENTS.get(name, ())) if name in NAMES else kind


@pytest.mark.parametrize("name", NAMES + WRITERS)
def test_both_have_the_same_names(name: str) -> None:
    twin, compiled = (public(made(getattr(load(each), name))) for each in ("python", "c"))

    assert compiled <= twin
    assert twin - compiled <= ONLY_IN_PYTHON.get(name, set())


def taken(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]


@pytest.mark.parametrize("name", NAMES)
def test_methods_of_both_take_the_same(name: str) -> None:
    twin, compiled = (getattr(load(each), name) for each in ("python", "c"))
    assert taken(twin) == taken(compiled)
    twin, compiled = made(twin), made(compiled)
    for method in sorted(public(compiled)):
        if callable(getattr(compiled, method)):
            assert taken(getattr(twin, method)) == taken(getattr(compiled, method)), method


def equipped(name: str, implementation: str) -> Any:
    made = load(implementation)
    writer, kind = getattr(made, name)(), "Queue" if "Queue" in name else "Map"
    tables = (getattr(made, f"{kind}Table")(),)
    writer._equip(tables, True if kind == "Queue" else tables, lambda *_: tables[0], None, print)
    return writer


@pytest.mark.parametrize("name", WRITERS)
def test_writes_of_both_take_the_same(name: str) -> None:
    twin, compiled = (equipped(name, each) for each in ("python", "c"))
    writes = public(compiled)
    assert writes
    for write in sorted(writes):
        assert taken(getattr(twin, write)) == taken(getattr(compiled, write)), write


# --- the stub ----------------------------------------------------------------------


def said(function: ast.FunctionDef) -> str:
    """Return what a method takes and returns, however its type variables are called."""
    arguments, returns = ast.unparse(function.args), ast.unparse(function.returns or function)
    words = f"({arguments}) -> {returns}".replace("cls", "self")
    for variable in "TKVD":
        words = words.replace(f"_{variable}", variable)
    return words


def methods(body: list[ast.stmt]) -> dict[str, list[str]]:
    """Return what each method in a class's *body* is said to take: more than once if overloaded."""
    found: dict[str, list[str]] = {}
    overloaded: set[str] = set()
    for each in body:
        if isinstance(each, ast.If):  # TYPE_CHECKING
            found |= methods(each.body)
        if isinstance(each, ast.FunctionDef):
            if "overload" in map(ast.unparse, each.decorator_list):
                overloaded.add(each.name)
            elif each.name in overloaded:
                continue  # what is behind its overloads
            found.setdefault(each.name, []).append(said(each))
    return found


def classes(path: Path) -> dict[str, ast.ClassDef]:
    found = [each for each in ast.parse(path.read_text()).body if isinstance(each, ast.ClassDef)]
    return {each.name: each for each in found}


STUB = classes(TABLES / "_speed.pyi")
TWIN = {name: each for path in TABLES.glob("*.py") for name, each in classes(path).items()}


def of_stub(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for base in STUB[name].bases:
        found |= of_stub(bare(base)) if bare(base) in STUB else {}
    return found | methods(STUB[name].body)


def bare(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0]


def of_twin(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for base in reversed(getattr(load("python"), name).__mro__):
        found |= methods(TWIN[base.__name__].body) if base.__name__ in TWIN else {}
    return found


@pytest.mark.parametrize("name", NAMES + WRITERS)
def test_the_stub_says_what_the_twin_says(name: str) -> None:
    stub, twin = of_stub(name), of_twin(name)
    if "__new__" in stub:
        (new,), (init,) = stub.pop("__new__"), twin.pop("__init__")
        assert new.replace("-> Self", "-> None") == init
    for method, words in stub.items():
        if method in twin:  # else it is an attribute there
            assert words == twin[method], method
        else:
            assert method.startswith("_") or method in ATTRIBUTES or name == "Room", method
    missing = {method for method in twin if not method.startswith("_")} - stub.keys()
    assert missing <= ONLY_IN_PYTHON.get(name, set())
