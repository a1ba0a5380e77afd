"""Events of structlog, by its real chain."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from programs import run
from structlog.typing import FilteringBoundLogger

from partitioned_buffer import InvalidOption
from partitioned_buffer.integrations.structlog import BufferProcessor, Passed
from partitioned_buffer.testing import RecordingProcessor, assert_balanced

Chain = Any


class Events:
    """A logger whose chain ends in a buffer."""

    def __init__(self, processor: Any, *before: Any, after: Any = (), **options: Any) -> None:
        self.past: list[Any] = []
        self.buffer = BufferProcessor(
            "events", processor, **({"fallback": self.past.append} | options)
        )
        self.printed = structlog.testing.CapturingLogger()
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            self.printed, processors=[*before, self.buffer, *after]
        )

    def assert_accounted(self, said: int) -> None:
        self.buffer.close()
        stats = self.buffer.queue.stats()
        assert_balanced(stats)
        assert stats.accepted + sum(self.buffer.passed) == said
        assert stats.held == 0


@pytest.fixture
def made() -> Iterator[Any]:
    all_of_them: list[Events] = []

    def make(*args: Any, **options: Any) -> Events:
        all_of_them.append(Events(*args, **options))
        return all_of_them[-1]

    yield make
    for each in all_of_them:
        each.buffer.close()


def test_the_processor_gets_events_and_nothing_is_printed(
    made: Any, processor: RecordingProcessor
) -> None:
    events = made(processor, structlog.processors.add_log_level)

    events.log.bind(user="ada").info("bought", what="tea")
    events.buffer.flush()

    assert processor.items == [{"event": "bought", "user": "ada", "what": "tea", "level": "info"}]
    assert events.printed.calls == []
    events.assert_accounted(1)


def test_after_a_renderer_it_gets_lines(made: Any, processor: RecordingProcessor) -> None:
    events = made(processor, structlog.processors.JSONRenderer())

    events.log.info("bought", what="tea")
    events.buffer.flush()

    assert processor.items == ['{"what": "tea", "event": "bought"}']
    events.assert_accounted(1)


def test_an_error_is_text_and_keeps_no_frames(made: Any, processor: RecordingProcessor) -> None:
    events = made(processor)

    try:
        int("no tea")
    except ValueError:
        events.log.exception("failed")
    events.buffer.flush()

    (event,) = processor.items
    assert event["exception"].endswith(
        "ValueError: invalid literal for int() with base 10: 'no tea'"
    )
    assert "exc_info" not in event
    events.assert_accounted(1)


def test_it_passes_on_what_others_are_to_print(made: Any, processor: RecordingProcessor) -> None:
    def render(_logger: Any, _method: str, event: dict[str, Any]) -> str:
        return f"{event.pop('event')} {event.pop('what', '')}"

    events = made(processor, after=[render], passes_on=True)

    events.log.info("bought", what="tea")
    events.buffer.close()
    events.log.info("too late")

    assert processor.items == [{"event": "bought", "what": "tea"}]
    assert [call.args for call in events.printed.calls] == [
        ("bought tea",),
        ("too late ",),
    ]
    assert events.past == []
    events.assert_accounted(2)


def test_what_is_said_while_it_is_delivered_goes_past(made: Any) -> None:
    delivered: list[Any] = []

    def send(batch: list[Any]) -> None:
        events.log.info("sending", count=len(batch))
        delivered.extend(batch)

    events = made(send)
    events.log.info("bought")
    events.buffer.flush()

    assert delivered == [{"event": "bought"}]
    assert events.past == [{"event": "sending", "count": 1}]
    assert events.buffer.passed == Passed(own=1)
    events.assert_accounted(2)


def test_ignored_loggers_go_past(made: Any, processor: RecordingProcessor) -> None:
    events = made(processor, ignore=["client"])

    events.log.info("sent", logger="client.http")
    events.log.info("sent", logger="clients")
    events.buffer.flush()

    assert [event["logger"] for event in processor.items] == ["clients"]
    events.assert_accounted(2)


def test_what_a_full_buffer_refuses_goes_to_the_fallback(
    made: Any, processor: RecordingProcessor
) -> None:
    events = made(processor, max_size=1, when_full="raise", flush_at=1)
    processor.block()
    events.log.info("one")
    processor.wait_for_call()
    events.log.info("two")
    processor.unblock()

    assert events.past == [{"event": "two"}]
    assert events.buffer.passed == Passed(refused=1)
    events.assert_accounted(2)


def test_the_fallback_is_stderr_for_warnings_unless_given(
    made: Any, processor: RecordingProcessor, capsys: pytest.CaptureFixture[str]
) -> None:
    events = made(processor, fallback="stderr")
    events.buffer.close()

    events.log.info("quiet")
    events.log.warning("loud")

    assert capsys.readouterr().err == "{'event': 'loud'}\n"
    events.assert_accounted(2)


def test_a_fallback_that_raises_harms_nobody(made: Any, processor: RecordingProcessor) -> None:
    def broken(_event: Any) -> None:
        raise OSError

    events = made(processor, fallback=broken)
    events.buffer.close()

    events.log.warning("anybody there?")

    assert events.buffer.passed == Passed(refused=1)


def test_a_fallback_that_is_none_is_named() -> None:
    with pytest.raises(InvalidOption, match="fallback=1"):
        BufferProcessor("events", print, fallback=1)  # type: ignore[arg-type]  # as tested


def test_events_of_functions_that_python_calls_at_its_end_still_arrive() -> None:
    out = run("""
import atexit, os, structlog
from partitioned_buffer.integrations.structlog import BufferProcessor
log = structlog.get_logger()
atexit.register(lambda: log.info("earlier"))  # registered first, called last
def send(events):
    os.write(1, f"{[event['event'] for event in events]}\\n".encode())
structlog.configure(processors=[BufferProcessor("events", send, processing_interval=1000.0)])
atexit.register(lambda: log.info("later"))
log.info("body")
""")

    assert out == "['body']\n['later']\n['earlier']\n"


def test_one_that_was_imported_after_a_buffer_was_started_is_ended_with_it() -> None:
    out = run("""
import atexit, os, structlog
from partitioned_buffer import Queue
atexit.register(lambda: print(processor.queue.running))  # called last
other = Queue("other", lambda items: log.info("stored"), processing_interval=1000.0).start()
from partitioned_buffer.integrations.structlog import BufferProcessor
log = structlog.get_logger()
def send(events):
    os.write(1, f"{[event['event'] for event in events]}\\n".encode())
processor = BufferProcessor("events", send, processing_interval=1000.0)
structlog.configure(processors=[processor])
other.push(1)
""")

    assert out == "['stored']\nFalse\n"
