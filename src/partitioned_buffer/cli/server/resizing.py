"""`resize`: another number of partitions for a buffer on a server, while its programs run."""

import argparse
import json
import sys

from .places import server_at


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    with server_at(arguments.url) as server:
        buffer, wanted = server.buffer(arguments.name), arguments.partitions
        before = buffer.layout.partitions
        is_done = before == wanted and not buffer.next
        if not is_done:
            buffer.resize(wanted)
        held = sum(
            each.appended - each.settled
            for each in buffer.depth()
            if each.generation < buffer.layout.generation
        )
        what = "what is written goes" if buffer.kind == "Queue" else "what it holds is"
    if arguments.json:
        said = {"name": arguments.name, "before": before, "partitions": wanted, "held_before": held}
        sys.stdout.write(json.dumps(said) + "\n")
    elif is_done:
        sys.stdout.write(f"{arguments.name!r} has {wanted} partitions already.\n")
    else:
        sys.stdout.write(_said(arguments.name, before, wanted, f"{what} there now.", held))
    return 0


def _said(name: str, before: int, now: int, what: str, held: int) -> str:
    lines = [f"{name!r} had {before} partitions, and has {now}: {what}"]
    if held:
        lines.append(f"Workers deliver the {held:,} that the old ones hold first.")
    lines.append(
        f"Programs that run go on. Those that say partitions={before} are refused when they start "
        f"again: say {now} there, or leave it out."
    )
    return "\n".join(lines) + "\n"
