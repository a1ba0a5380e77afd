"""What becomes of a record, and what of it another thread gets."""

import asyncio
import logging
import sys
import threading
import warnings
from typing import Any

import pytest
from helpers import wait_until
from logs import Kept, Logged, Making

from partitioned_buffer import BufferAlreadyRunning, InvalidOption, PartialFailure, Retry
from partitioned_buffer.integrations.logging import BufferedRecord, BufferHandler, Passed
from partitioned_buffer.testing import FakeClock, RecordingProcessor


def test_the_processor_gets_lines_as_the_formatter_makes_them(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor)
    log.handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    log.logger.info("hello %s", "ada")
    log.logger.warning("bye")
    log.handler.flush()

    assert processor.items == ["INFO hello ada", "WARNING bye"]


def test_records_are_formatted_by_the_worker_if_asked_and_once(
    logged: Making, processor: RecordingProcessor
) -> None:
    threads, caller = [], threading.get_ident()

    class Watched(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            threads.append(threading.get_ident())
            return super().format(record)

    def process(records: list[BufferedRecord]) -> None:
        processor([str(record) for record in records])
        assert [str(record) for record in records] == processor.items

    log = logged(process, format_in="worker")
    log.handler.setFormatter(Watched("%(levelname)s %(message)s"))

    log.logger.info("hello %s, %d", "ada", 1)
    log.handler.flush()

    assert processor.items == ["INFO hello ada, 1"]
    assert len(threads) == 1
    assert threads != [caller]


def test_what_may_change_after_the_call_is_made_text_before(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor, format_in="worker")
    basket: Any = ["tea"]

    log.logger.info("bought %s", basket)
    log.logger.info("%(who)s bought", {"who": basket})
    log.logger.info(basket)
    basket.append("milk")
    log.handler.flush()

    assert [str(record) for record in processor.items] == [
        "bought ['tea']",
        "['tea'] bought",
        "['tea']",
    ]


def test_a_worker_gets_errors_as_text_and_keeps_no_frames(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor, format_in="worker")

    try:
        int("no tea")
    except ValueError:
        log.logger.exception("failed", stack_info=True)
    log.handler.flush()

    (record,) = processor.items
    assert record.exc_info is None
    lines = str(record).splitlines()
    assert lines[0] == "failed"
    assert "ValueError: invalid literal for int() with base 10: 'no tea'" in lines
    assert any(line.startswith("Stack (most recent call last)") for line in lines)


def test_other_handlers_go_on_with_a_record_of_their_own(
    logged: Making, processor: RecordingProcessor
) -> None:
    log, other = logged(processor, format_in="worker"), Kept()
    log.handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y"))
    log.logger.addHandler(other)

    try:
        int("no tea")
    except ValueError:
        log.logger.exception("bought %s", ["tea"])
    (record,) = other.records
    record.message, record.asctime = "theirs", "theirs"
    log.handler.flush()

    assert record.args == (["tea"],)
    assert record.exc_info is not None
    assert record.exc_text is None
    assert str(processor.items[0]).splitlines()[0].endswith(" bought ['tea']")


def test_what_extra_brings_is_in_the_record(logged: Making, processor: RecordingProcessor) -> None:
    log = logged(processor, format_in="worker")

    log.logger.info("bought", extra={"user": "ada"})
    log.handler.flush()

    assert processor.items[0].user == "ada"
    assert processor.items[0].levelno == logging.INFO


def test_a_record_that_cannot_be_formatted_is_told_as_logging_tells_it_and_counted(
    logged: Making, processor: RecordingProcessor, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logged(processor)

    log.logger.info("%d", "one")
    log.logger.info("two")
    log.handler.flush()

    assert processor.items == ["two"]
    assert log.handler.passed == Passed(failed=1)
    assert "--- Logging error ---" in capsys.readouterr().err


def test_one_that_the_worker_cannot_format_is_delivered_as_it_is(
    logged: Making, processor: RecordingProcessor, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logged(processor, format_in="worker")

    log.logger.info("%d", "one")
    log.handler.flush()

    assert [str(record) for record in processor.items] == ["INFO:app:'%d' % ('one',)"]
    assert "--- Logging error ---" in capsys.readouterr().err


def test_items_that_a_processor_names_are_the_buffer_s_own(logged: Making) -> None:
    attempts: list[list[str]] = []

    def process(records: list[BufferedRecord]) -> None:
        attempts.append([str(record) for record in records])
        if len(attempts) == 1:
            raise PartialFailure(retry=records[1:])

    log = logged(process, format_in="worker")
    for number in range(3):
        log.logger.info("%d", number)
    log.handler.flush()

    assert attempts == [["0", "1", "2"], ["1", "2"]]


def test_filters_and_levels_are_those_of_any_handler(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor)
    log.handler.addFilter(lambda record: record.getMessage() != "secret")
    log.handler.setLevel(logging.INFO)

    log.logger.info("secret")
    log.logger.debug("detail")
    log.logger.info("news")
    log.handler.flush()
    log.said -= 2

    assert processor.items == ["news"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters return no records before 3.12")
def test_a_filter_may_replace_the_record(logged: Making, processor: RecordingProcessor) -> None:
    log = logged(processor)

    def redacted(record: logging.LogRecord) -> logging.LogRecord:
        return logging.makeLogRecord(vars(record) | {"msg": "***", "args": None})

    log.handler.addFilter(redacted)
    log.logger.info("secret")
    log.handler.flush()

    assert processor.items == ["***"]


# --- a full buffer, and a stopped one ---------------------------------------------------


def blocked(logged: Making, processor: RecordingProcessor, **options: Any) -> Logged:
    """Return a log whose buffer holds two, one of which its processor does not let go of."""
    log = logged(processor, max_size=2, flush_at=1, **options)
    processor.block()
    log.logger.info("first")
    processor.wait_for_call()
    return log


def test_a_bounded_buffer_drops_the_oldest_unless_told_otherwise(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = blocked(logged, processor)

    for number in range(5):
        log.logger.info("%d", number)
    processor.unblock()
    log.handler.flush()

    assert processor.items == ["first", "4"]
    assert log.handler.queue.stats().dropped == 4


def test_what_a_full_buffer_refuses_goes_to_the_fallback(
    logged: Making, processor: RecordingProcessor
) -> None:
    fallback = Kept()
    log = blocked(logged, processor, when_full="raise", fallback=fallback)

    for number in range(3):
        log.logger.info("%d", number)
    processor.unblock()

    assert fallback.messages == ["1", "2"]
    assert log.handler.passed == Passed(refused=2)


def test_a_writer_waits_no_longer_than_the_buffer_says_and_holds_nobody_else_up(
    logged: Making, processor: RecordingProcessor
) -> None:
    clock, fallback = FakeClock(), Kept()
    log = blocked(logged, processor, block_timeout=5.0, clock=clock, fallback=fallback)
    log.logger.info("second")

    writers = [threading.Thread(target=log.logger.info, args=(f"late {n}",)) for n in range(2)]
    for writer in writers:
        writer.start()
    wait_until(lambda: log.handler.queue.stats().blocked == 2)  # both: no lock lets in only one
    clock.jump(5.0)
    for writer in writers:
        writer.join(30)
    processor.unblock()

    assert sorted(fallback.messages) == ["late 0", "late 1"]
    assert log.handler.passed == Passed(refused=2)


def test_after_its_close_records_go_to_the_fallback(
    logged: Making, processor: RecordingProcessor
) -> None:
    fallback = Kept(logging.WARNING)
    log = logged(processor, fallback=fallback)

    log.logger.info("in time")
    log.handler.close()
    assert log.handler.name not in logging._handlers  # type: ignore[attr-defined]
    log.handler.close()
    log.logger.info("too late to be told")
    log.logger.warning("too late")

    assert processor.items == ["in time"]
    assert fallback.messages == ["too late"]
    assert log.handler.passed == Passed(refused=2)


def test_the_fallback_is_stderr_for_warnings_unless_given(
    logged: Making, processor: RecordingProcessor, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logged(processor, fallback="stderr")
    log.handler.close()

    log.logger.info("quiet")
    log.logger.warning("loud")

    assert capsys.readouterr().err == "loud\n"


def test_a_fallback_that_raises_harms_nobody(
    logged: Making, processor: RecordingProcessor, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("gone")

    log = logged(processor, fallback=Broken())
    log.handler.close()

    log.logger.warning("anybody there?")

    assert log.handler.passed == Passed(refused=1)
    assert "OSError: gone" in capsys.readouterr().err


def test_what_is_left_at_a_close_goes_to_the_dead_letter_handler(logged: Making) -> None:
    letters: list[Any] = []

    def down(lines: list[str]) -> None:
        raise ConnectionError

    log = logged(
        down,
        exit_timeout=0.0,
        dead_letter=lambda items, _error, _attempts: letters.extend(items),
        fallback=Kept(),
    )
    log.logger.info("left")
    log.handler.close()

    assert letters == ["left"]


def test_coroutines_log_without_their_loop_being_held_up(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor)
    processor.block()

    async def work(number: int) -> None:
        log.logger.info("%d", number)
        await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(100)))

    asyncio.run(all_of_them())
    processor.unblock()
    log.handler.flush()

    assert processor.items == [str(number) for number in range(100)]


def test_warnings_captured_by_logging_arrive(logged: Making, processor: RecordingProcessor) -> None:
    log, captured = logged(processor), logging.getLogger("py.warnings")
    captured.addHandler(log.handler)
    try:
        with warnings.catch_warnings():
            logging.captureWarnings(True)
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
        captured.removeHandler(log.handler)
    log.handler.flush()
    log.said += 1

    assert "DeprecationWarning: old" in processor.items[0]


# --- options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"format_in": "caler"},
        {"fallback": 1},
        {"ignore": "urllib3"},
        {"batch_size": 3},
        {"processing_interval": -1},
        {"level": 1.5},
    ],
)
def test_options_that_are_no_good_are_named_and_nothing_is_left_running(
    options: dict[str, Any],
) -> None:
    (name,) = options

    with pytest.raises((InvalidOption, TypeError), match=name if name != "level" else "Level"):
        BufferHandler("refused", print, **options)

    BufferHandler("refused", print).close()


def test_another_s_name_is_refused(logged: Making, processor: RecordingProcessor) -> None:
    log = logged(processor)

    with pytest.raises(BufferAlreadyRunning):
        BufferHandler(log.handler.queue.name, processor)


def test_another_buffer_handler_is_no_fallback(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor)

    with pytest.raises(InvalidOption, match="no BufferHandler"):
        BufferHandler("second", processor, fallback=log.handler)


def test_retry_and_batches_are_the_queue_s(logged: Making, processor: RecordingProcessor) -> None:
    log = logged(processor, retry=Retry(attempts=1), processing_batch_size=2)
    for number in range(3):
        log.logger.info("%d", number)
    log.handler.flush()

    assert processor.batches == [["0", "1"], ["2"]]
