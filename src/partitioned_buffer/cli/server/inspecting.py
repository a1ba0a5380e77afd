"""`inspect` of a server: its buffers, or one of them, as text or JSON. It changes nothing."""

import argparse
import json
import sys

from ..text import as_json, item_text, moment, printable, table
from .places import server_at
from .reporting import Report, report_of


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    with server_at(arguments.path) as server:
        risks = server.risks()
        if arguments.name is not None:
            buffer = server.buffer(arguments.name)
            _show(report_of(server.where, buffer, risks, arguments.items), in_json=arguments.json)
            return 0
        found = [report_of(server.where, each, risks, 0) for each in server.buffers()]
        _list(server.where, found, risks, in_json=arguments.json)
    return 0


def _list(where: str, found: list[Report], risks: list[str], *, in_json: bool) -> None:
    if in_json:
        buffers = [each.in_short() for each in found]
        _say(json.dumps({"server": where, "risks": risks, "buffers": buffers}, indent=2))
        return
    _say(f"{printable(where)}: {_counted(len(found), 'buffer')}.")
    _say_risks(risks)
    if not found:
        return
    _say("")
    table(
        ("name", "kind", "partitions", "held", "oldest", "given up", "workers"),
        [
            (
                each.buffer.name,
                each.buffer.kind,
                each.buffer.layout.partitions,
                each.held,
                _age(each.oldest),
                each.given_up,
                len(each.workers),
            )
            for each in found
        ],
    )


def _show(report: Report, *, in_json: bool) -> None:
    if in_json:
        said = report.as_dict()
        for shown in said["first"]:
            if "item" in shown:
                shown["item"] = as_json(shown["item"])
        _say(json.dumps(said, indent=2))
        return
    _say_heading(report)
    _say_risks(report.risks)
    _say("")
    _say_partitions(report)
    _say_list("Workers", report.workers)
    _say_list("Given up", [_given_up(report, place) for place in range(len(report.dead))])
    _say_list(
        "The first items",
        [
            f"partition {partition}, position {shown.position}: "
            + (item_text(shown.what) if shown.is_item else printable(shown.what))
            for partition, shown in report.first
        ],
    )
    _say_list("Some entries", [each.text() for each in report.entries])


def _say_heading(report: Report) -> None:
    buffer = report.buffer
    _say(f"{printable(buffer.name)}, on {printable(report.where)}")
    _say(
        f"A {printable(buffer.kind)} of {buffer.layout.partitions} partitions, generation "
        f"{buffer.layout.generation}, codec {printable(buffer.codec)}, format {buffer.format}."
    )
    _say(
        f"{report.held:,} held, {report.given_up:,} given up, "
        f"{_counted(len(report.workers), 'worker')}."
    )
    if (resize := report.resize()) is not None:
        _say(resize)


def _say_partitions(report: Report) -> None:
    several = len({each.generation for each in report.depths}) > 1
    is_map = report.buffer.kind == "Map"
    others = ("coalesced", "deleted") if is_map else ()
    head = ("partition", "appended", "settled", *others, "held", "oldest", "given up", "owner")
    rows = [
        (
            str(each.partition),
            each.appended,
            each.settled,
            *((each.coalesced, each.deleted) if is_map else ()),
            each.appended - each.settled,
            _age(each.oldest),
            each.dead,
            each.owner or "-",
        )
        for each in report.depths
    ]
    if several:
        numbered = zip(report.depths, rows, strict=True)
        table(("generation", *head), [(str(each.generation), *row) for each, row in numbered])
    else:
        table(head, rows)


def _given_up(report: Report, place: int) -> str:
    dead = report.dead[place]
    newest = report.buffer.layout.generation
    where = f"partition {dead.partition}"
    if dead.generation != newest:
        where += f" of generation {dead.generation}"
    if dead.last is None:
        return f"{where}: {dead.records:,}"
    error, attempts = printable(dead.last.error), dead.last.attempts
    when = "" if dead.last.time is None else f" at {moment(dead.last.time)},"
    return f"{where}: {dead.records:,}, the last{when} after {attempts} attempts: {error}"


def _say_risks(risks: list[str]) -> None:
    for risk in risks:
        _say(f"Risk: {printable(risk)}.")


def _say_list(head: str, lines: list[str]) -> None:
    if lines:
        _say(f"\n{head}:")
    for line in lines:
        _say(f"  {printable(line)}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:,.1f} s"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
