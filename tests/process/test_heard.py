"""Nothing is lost in silence: what a program that has configured no logging says on stderr."""

import subprocess

import pytest
from programs import ended, run

LOSSES = {
    "dead letters": (
        "processor=refuse",
        (
            "buffer 'orders', partition 0: dead-lettered 30 items after 1 attempt, which are lost: "
            "give the buffer a dead_letter handler, such as dead_letters.DeadLetterFile, to keep"
        ),
    ),
    "dead letters that a handler took": (
        "processor=refuse, dead_letter=lambda *_: None",
        (
            "buffer 'orders', partition 0: dead-lettered 30 items after 1 attempt: Reject: "
            "nonsense. The dead_letter handler has taken them"
        ),
    ),
    "drops": (
        "processor=len, max_size=10, when_full='drop_newest'",
        (
            "buffer 'orders', partition 0: dropped 20: full; writers are faster than the "
            "processor; see when_full, max_size"
        ),
    ),
}

PROGRAM = """
import logging, sys
from partitioned_buffer import Queue, Reject
{configure}
def refuse(batch):
    raise Reject("nonsense")
def refuse_too(*_):
    raise OSError("disk full")
with Queue("orders", partitions=1, {options}) as orders:
    for number in range(30):
        orders.push(number)
"""


def say(program: str) -> "subprocess.CompletedProcess[str]":
    said = ended(program)
    assert said.returncode == 0, said.stderr
    return said


@pytest.mark.parametrize(("options", "line"), LOSSES.values(), ids=LOSSES)
def test_a_loss_is_one_line_on_stderr(options: str, line: str) -> None:
    said = say(PROGRAM.format(configure="", options=options))

    assert said.stdout == ""
    assert said.stderr.count(line) == 1
    assert said.stderr.count("buffer 'orders'") == 1


def test_what_a_handler_does_not_take_is_said_each_time_and_at_the_end() -> None:
    options = "processor=refuse, dead_letter=refuse_too, exit_timeout=1.0"
    said = say(PROGRAM.format(configure="", options=options))

    assert said.stderr.count("the dead letter handler raised, attempt 1; it is called again") == 1
    assert said.stderr.count("buffer 'orders' ended: 30 undelivered stay in memory") == 1
    assert "OSError: disk full" in said.stderr


@pytest.mark.parametrize(("options", "line"), LOSSES.values(), ids=LOSSES)
def test_with_logging_configured_nothing_else_is_printed(options: str, line: str) -> None:
    configure = "logging.basicConfig(stream=sys.stdout, level='WARNING')"
    said = say(PROGRAM.format(configure=configure, options=options))

    assert said.stderr == ""
    assert said.stdout.count(line) == 1


@pytest.mark.parametrize(
    "configure",
    [
        "logging.getLogger('partitioned_buffer').addHandler(logging.NullHandler())",
        "logging.getLogger('partitioned_buffer').setLevel('CRITICAL')",
        "logging.disable()",
    ],
)
def test_who_wants_silence_has_it(configure: str) -> None:
    options, _ = LOSSES["dead letters"]

    assert run(PROGRAM.format(configure=configure, options=options)) == ""


def test_a_server_that_configures_its_own_loggers_alone_hears_it_too() -> None:
    """As uvicorn and gunicorn do: they leave the root logger as it is."""
    configure = """
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"own": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
    "loggers": {"uvicorn": {"handlers": ["own"], "level": "INFO", "propagate": False}},
})
"""
    options, line = LOSSES["dead letters"]
    said = say(PROGRAM.format(configure=f"import logging.config{configure}", options=options))

    assert said.stdout == ""
    assert said.stderr.count(line) == 1


def test_what_goes_well_says_nothing() -> None:
    assert run(PROGRAM.format(configure="", options="processor=len")) == ""
