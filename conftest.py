"""Run every Python block of the documentation; a `text` block after one is what it prints."""

import re
from collections.abc import Iterable

from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

_PRINTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class _Prints(list[str]):
    """Stands in for the blocks' `print`."""

    def __call__(self, *values: object, sep: str = " ") -> None:
        self.append(sep.join(map(str, values)))


def _setup(namespace: dict[str, object]) -> None:
    namespace["print"] = _Prints()


def _parse_printed(document: Document) -> Iterable[Region]:
    for match in _PRINTED.finditer(document.text):
        yield Region(match.start(), match.end(), match.group(1), _compare)


def _compare(example: Example) -> str | None:
    prints: list[str] = example.namespace["print"]
    printed, expected = "".join(f"{line}\n" for line in prints), example.parsed
    prints.clear()
    return None if printed == expected else f"printed\n{printed}instead of\n{expected}"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser(), _parse_printed],
    patterns=["README.md", "docs/*.md", "docs/design/*.md"],
    setup=_setup,
).pytest()
