"""What the lists of mutants break is there: a list whose texts are gone proves nothing."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

MUTANTS = Path(__file__).parents[1] / "mutants"
SOURCE = MUTANTS.parents[1] / "src" / "partitioned_buffer"
LISTS = {
    "tables_in_c": "_core",
    "twin": "_core",
    "writes": "_core",
    "stored": "",
    "stored_backing": "",
    "shared_maps": "testing",
}


@pytest.mark.parametrize("name", LISTS)
def test_each_mutant_has_something_to_break(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(MUTANTS))
    mutants, broken = import_module(name).MUTANTS, import_module("breaking").broken
    for each in set(sys.modules) - before:
        del sys.modules[each]  # names as common as these are not to stay

    texts = {each: (SOURCE / LISTS[name] / each.file).read_text() for each in mutants}

    assert mutants
    assert not [each.name for each, text in texts.items() if broken(text, each) is None]
