"""
What it costs a batch to have a span with its links, beside the SDK's own part of that.

    python -m benchmarks.speed.spans [SIZE OF A BATCH]

counts instructions, by valgrind: what a traced Queue takes more than one that is not, for each
batch that is drained; and what a loop takes that does nothing but start and end as many spans, of
the same name, kind, attributes and links, by the SDK's context manager, and record as many points
of a histogram. All that the SDK exports stays in memory.
"""

import os
import re
import subprocess
import sys
from typing import Any

from opentelemetry import trace

import partitioned_buffer
from partitioned_buffer.instrumentation.opentelemetry import instrument

from .subjects import ASLEEP
from .watched import FEW, REQUEST, Sdk

FEWER, MORE = 300, 1300
"""Batches of the two runs whose difference is counted."""


def _queue(batch: int) -> Any:
    return partitioned_buffer.Queue[int](
        "spans",
        lambda _: None,
        partitions=1,
        processing_interval=ASLEEP,
        processing_batch_size=batch,
    )


def drain(sdk: Sdk, count: int, batch: int, *, traced: bool) -> None:
    """Push, in spans of a hundred each, and deliver."""
    tracer = sdk.tracers.get_tracer("program")
    undo = instrument(sdk.meters, sdk.tracers) if traced else lambda: None
    with _queue(batch) as queue:
        for _ in range(count * batch // REQUEST):
            with tracer.start_as_current_span("request"):
                for number in range(REQUEST):
                    queue.push(number)
        queue.flush()
    undo()


def loop(sdk: Sdk, count: int, batch: int, links: int) -> None:
    """Do for each batch what is the SDK's, and nothing else."""
    tracer = sdk.tracers.get_tracer("program")
    durations = sdk.meters.get_meter("program").create_histogram("durations", unit="s")
    wrote = tracer.start_span("request").get_span_context()
    said = {"partitioned_buffer.name": "spans"}
    attributes = said | {"partitioned_buffer.partition": 0, "partitioned_buffer.attempt": 1}
    attributes |= {"messaging.operation.type": "process", "messaging.batch.message_count": batch}
    for _ in range(count):
        with tracer.start_as_current_span(
            "spans process",
            kind=trace.SpanKind.CONSUMER,
            links=[trace.Link(wrote) for _ in range(links)],
            attributes=attributes,
        ):
            pass
        durations.record(1e-6, said)


def run(what: str, kept: float, count: int, batch: int) -> None:
    """Be what is counted."""
    sdk = Sdk.made(kept)
    if what == "sdk":
        loop(sdk, count, batch, max(1, batch // REQUEST) if kept == 1.0 else 0)
    else:
        drain(sdk, count, batch, traced=what == "traced")
    sdk.shut_down()


def _instructions(*args: str) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.speed.spans", *args]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    counted = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if counted is None:
        raise RuntimeError(f"valgrind says nothing of instructions: {done.stderr}")
    return int(counted[1].replace(",", ""))


def main() -> None:
    """Count, or be what is counted."""
    if len(args := sys.argv[1:]) > 1:
        run(args[0], float(args[1]), int(args[2]), int(args[3]))
        return
    batch = args[0] if args else "10"
    for kept in (1.0, FEW):
        each = dict[str, float]()
        for what in ("plain", "traced", "sdk"):
            few, many = (_instructions(what, str(kept), str(n), batch) for n in (FEWER, MORE))
            each[what] = (many - few) / (MORE - FEWER)
        more = each["traced"] - each["plain"]
        print(
            f"batches of {batch}, {kept:.0%} of all traces kept: {each['plain']:,.0f} instructions "
            f"for a batch, {more:,.0f} more traced; the SDK alone: {each['sdk']:,.0f}"
        )


if __name__ == "__main__":
    main()
