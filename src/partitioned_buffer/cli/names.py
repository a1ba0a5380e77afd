"""
What is found by its name: `module:name` as it is typed, `module.name` as a file has it.

Modules are looked for where the command is run, too, as `python -m` does.
"""

import importlib
import sys
import traceback
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InvalidOption


def typed(option: str, text: str) -> Any:
    """Return what *text*, the value of an option, names. Raises `InvalidOption`."""
    module, _, name = text.partition(":")
    if not (module and name):
        raise InvalidOption(f"{option} {text}: expected module:name, as in shop.events:store")
    where = _imported(module)
    if where is None:
        raise _missing(f"{option} {text}", module)
    try:
        return reduce(getattr, name.split("."), where)
    except AttributeError as error:
        raise InvalidOption(
            f"{option} {text}: {error}: expected the name of something in {module}"
        ) from error


def module(option: str, name: str) -> ModuleType:
    """Return the module of that name, the value of an option. Raises `InvalidOption`."""
    found = _imported(name) if all(part.isidentifier() for part in name.split(".")) else None
    if found is None:
        raise _missing(f"{option} {name}", name)
    return found


def dotted(text: str) -> Any:
    """Return what *text* names, as in `shop.events.Event.from_bytes`. Raises `InvalidOption`."""
    path, *names = text.split(".")
    found: Any = _imported(path)
    if found is None:
        raise _missing(text, path)
    for name in names:
        inner = getattr(found, name, None)
        if inner is None and isinstance(found, ModuleType):
            inner = _imported(f"{path}.{name}")
        if inner is None:
            raise InvalidOption(f"{text}: {path} has no {name}")
        found, path = inner, f"{path}.{name}"
    return found


def _imported(module: str) -> ModuleType | None:
    """Return the module of that name; None if there is none."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            return None
        raise _failed(module, error) from error
    except Exception as error:
        raise _failed(module, error) from error


def _missing(said: str, module: str) -> InvalidOption:
    return InvalidOption(
        f"{said}: there is no module {module} in {Path.cwd()}, nor on Python's path: run this "
        "where the program is, or set PYTHONPATH"
    )


def _failed(module: str, error: Exception) -> InvalidOption:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return InvalidOption(
        f"importing {module} failed with {type(error).__name__}: {error} "
        f"({last.filename}, line {last.lineno}): expected a module that can be imported"
    )
