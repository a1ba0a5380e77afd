"""`inspect`: what is in a file, as text or JSON."""

import argparse
import json
import sys

from .looking import Held, Report, report_of
from .server import inspecting
from .server.places import check_place, is_url
from .text import as_json, item_text, moment, printable, table


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    check_place(arguments, optional=True)
    if is_url(arguments.path):
        return inspecting.run(arguments)
    report = report_of(arguments.path, arguments.items)
    if arguments.json:
        _print_json(report)
    else:
        _print(report)
    return 0


def _print_json(report: Report) -> None:
    said = report.as_dict()
    for shown in said["first"]:
        if "item" in shown:
            shown["item"] = as_json(shown["item"])
    sys.stdout.write(json.dumps(said, indent=2) + "\n")


def _print(report: Report) -> None:
    _say(_heading(report))
    for trouble in report.trouble:
        _say(f"\nTrouble: {printable(trouble)}")
    if report.partitions:
        rows = [_row(str(each.partition), each) for each in report.partitions]
        _say("")
        table(
            ("partition", "held", "cursor", "end", "oldest", "given up", "damaged"),
            [*rows, _row("all", report.total())],
        )
    _say("")
    table(("file", "bytes"), list(report.files.items()))
    if report.first:
        _say("\nThe first items:")
    for partition, shown in report.first:
        what = item_text(shown.what) if shown.is_item else printable(shown.what)
        _say(f"  partition {partition}, position {shown.position}: {what}")


def _row(name: str, held: Held) -> tuple[object, ...]:
    oldest = "-" if held.oldest is None else held.oldest
    return name, held.held, held.cursor, held.end, oldest, held.buried, held.damaged


def _heading(report: Report) -> str:
    terms, total = report.terms, report.total()
    kind, codec = printable(terms.kind), printable(terms.codec)
    lines = [
        printable(terms.path),
        f"A {kind} of {terms.partitions} partitions, codec {codec}, format {terms.format}.",
    ]
    if report.partitions:
        lines.append(f"{total.held:,} held, {total.buried:,} given up, {total.damaged:,} damaged.")
    if report.counts == "operations":
        lines.append("Counted are the operations of its log, not entries: a key may have several.")
    if report.buried_since is not None:
        lines.append(f"The first was given up on {moment(report.buried_since)}.")
    if report.buried_damaged:
        lines.append(f"{report.buried_damaged:,} of what was given up are damaged.")
    if report.set_aside:
        lines.append(f"{report.set_aside:,} damaged rows were set aside, in its table `damaged`.")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
