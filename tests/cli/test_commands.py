"""What is typed: help, examples and the page of each command; none of it imports what does it."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import store

from partitioned_buffer.cli.commands.command import Command
from partitioned_buffer.cli.main import COMMANDS

Run = Callable[..., tuple[int, str, str]]

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
HEAVY = {"asyncio", "dataclasses", "inspect", "json", "logging", "redis", "rich", "socket"}
HEAVY |= {"sqlite3", "ssl", "threading", "http", "http.client", "partitioned_buffer._threads"}
HEAVY |= {"partitioned_buffer._core", "partitioned_buffer.storage", "partitioned_buffer.abc"}
IS_DATA = {"inspect", "drain", "replay", "resize", "top"}

each = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def parser_of(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_to(parser.add_subparsers(dest="command"))
    return parser


def options_of(command: Command) -> set[str]:
    parser = argparse.ArgumentParser()
    command.add(parser)
    return {name for action in parser._actions for name in action.option_strings} - {"-h", "--help"}


def anchors(page: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


@each
def test_help_says_what_it_does_and_shows_examples(command: Command, run: Run) -> None:
    code, out, err = run(command.name, "--help")

    assert (code, err) == (0, "")
    assert " ".join(command.about.split()) in " ".join(out.split())
    assert len(command.about) > 80
    assert command.examples
    for example in command.examples:
        assert f"\n  partitioned-buffer {example}\n" in out
    assert all(option in out for option in options_of(command))


@each
def test_examples_can_be_typed(command: Command) -> None:
    for example in command.examples:
        given = parser_of(command).parse_args(shlex.split(example))
        assert given.command == command.name


@each
def test_the_page_has_a_section_an_example_and_all_options(command: Command) -> None:
    row = re.search(rf"^\| \[`{command.name}`\]\(#([\w-]+)\) \| .+ \|$", PAGE, re.MULTILINE)
    assert row is not None, f"docs/command-line.md has no row for {command.name}"
    assert row[1] in anchors(PAGE)
    assert f"partitioned-buffer {command.name} " in PAGE
    for option in options_of(command):
        assert f"`{option}" in PAGE or f" {option} " in PAGE, option


def typed_on_pages() -> list[tuple[str, str]]:
    docs = Path(__file__).parents[2] / "docs"
    return [
        (page.name, line)
        for page in sorted(docs.glob("*.md"))
        for block in re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL)
        for line in re.findall(r"^(?:\$ )?partitioned-buffer (.*)", block, re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "line"), typed_on_pages())
def test_what_pages_have_one_type_can_be_typed(page: str, line: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands = parser.add_subparsers(dest="command")
    for command in COMMANDS:
        command.add_to(commands)
    assert parser.parse_args(shlex.split(line.partition("|")[0], comments=True)).command in line


@each
def test_what_prints_data_prints_json_if_asked(command: Command) -> None:
    assert ("--json" in options_of(command)) is (command.name in IS_DATA)


def test_all_commands_are_listed(run: Run) -> None:
    _, out, _ = run("--help")
    for command in COMMANDS:
        assert re.search(rf"^ +{command.name} +{command.brief}$", out, re.MULTILINE)


def test_exit_codes_are_on_the_page_and_in_help(run: Run) -> None:
    _, out, _ = run("--help")
    for code in ("0", "1", "2", "130"):
        assert f"| {code} |" in PAGE
        assert re.search(rf"\b{code}:", out), code


@pytest.mark.parametrize("typed", [["--help"], *([c.name, "--help"] for c in COMMANDS), ["nosuch"]])
def test_help_imports_nothing_that_does_it(typed: list[str]) -> None:
    text = f"""
import sys
from partitioned_buffer.cli.main import main
try:
    main({typed!r})
except SystemExit:
    print("\\nIMPORTED", *sys.modules)
"""
    command = [sys.executable, "-S", "-c", text]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        command, env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.partition("\nIMPORTED ")[2].split())

    assert "partitioned_buffer.cli.main" in imported
    assert imported & HEAVY == set()


def test_drain_and_replay_say_in_json_what_became_of_it(
    path: Path, program: Callable[[str], Path], run: Run
) -> None:
    pytest.importorskip("msgspec")
    program("""
        from partitioned_buffer import Queue, Reject

        def reject(batch):
            raise Reject("never")

        def take(batch):
            pass

        queue = Queue("back", take, partitions=1)
    """)
    with store(path, ["a", "b", "c"]):
        pass
    code, out, _ = run("drain", path, "--processor", "shop:reject", "--json")
    said: Any = json.loads(out)
    assert code == 1
    assert said == {
        "path": str(path), "delivered": 0, "held": 0, "given_up": 3, "dropped": {},
    }  # fmt: skip
    code, out, _ = run("replay", path, "--into", "shop:queue", "--json")
    assert code == 0
    assert json.loads(out) == {"given_back": 3, "kept": 0, "where": str(path), "refused": []}
