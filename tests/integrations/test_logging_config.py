"""Handlers by `logging.config`, from a dictionary."""

import logging
import logging.config
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from logs import Kept

import partitioned_buffer
from partitioned_buffer import BufferNotFound, Queue
from partitioned_buffer.integrations.logging import BufferHandler
from partitioned_buffer.testing import assert_balanced

CLASS = "partitioned_buffer.integrations.logging.BufferHandler"

delivered: list[str] = []


def ship(lines: list[str]) -> None:
    delivered.extend(lines)


class Shipper:
    """A processor that is made of options."""

    def __init__(self, prefix: str, where: Any) -> None:
        self.prefix, self.where = prefix, where

    def __call__(self, lines: list[str]) -> None:
        self.where.extend(self.prefix + line for line in lines)


@pytest.fixture(autouse=True)
def app() -> Iterator[logging.Logger]:
    delivered.clear()
    logger = logging.getLogger("app")
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


def configure(handler: dict[str, Any], **others: dict[str, Any]) -> BufferHandler:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "incremental": False,
            "formatters": {"short": {"format": "%(levelname)s %(message)s"}},
            "handlers": {"ship": handler} | others,
            "loggers": {"app": {"handlers": ["ship"], "level": "DEBUG", "propagate": False}},
        }
    )
    (made,) = logging.getLogger("app").handlers
    assert isinstance(made, BufferHandler)
    return made


@pytest.mark.parametrize("key", ["class", "()"])
def test_a_dictionary_makes_one_with_a_processor_by_its_name(app: logging.Logger, key: str) -> None:
    handler = configure(
        {
            key: CLASS,
            "name": "from a dictionary",
            "processor": f"ext://{__name__}.ship",
            "level": "INFO",
            "formatter": "short",
            "processing_batch_size": 7,
            "hooks": [f"ext://{__name__}.note"],
        }
    )

    app.info("hello")
    app.debug("detail")
    handler.flush()

    assert delivered == ["INFO hello"]
    assert partitioned_buffer.get("from a dictionary", Queue) is handler.queue
    assert handler.queue._settings.processing_batch_size == 7
    assert noted
    assert_balanced(handler.queue.stats())


noted: list[object] = []


def note(event: object) -> None:
    noted.append(event)


def test_processor_and_options_may_be_dictionaries_that_say_what_makes_them(
    app: logging.Logger, tmp_path: Path
) -> None:
    handler = configure(
        {
            "()": CLASS,
            "name": "made of dictionaries",
            "processor": {
                "()": f"{__name__}.Shipper",
                "prefix": "> ",
                "where": f"ext://{__name__}.delivered",
            },
            "storage": {
                "()": "partitioned_buffer.storage.SQLite",
                "path": str(tmp_path / "logs"),
                "codec": "pickle",
            },
            "retry": {"()": "partitioned_buffer.Retry", "attempts": 3},
        }
    )

    app.info("hello")
    handler.flush()

    assert delivered == ["> hello"]
    assert handler.queue._settings.retry.attempts == 3
    assert (tmp_path / "logs").exists()


def test_the_fallback_may_be_named_before_there_is_one(app: logging.Logger) -> None:
    handler = configure(
        {"()": CLASS, "name": "a", "processor": f"ext://{__name__}.ship", "fallback": "zz"},
        zz={"()": Kept},
    )
    handler.close()

    app.info("late")

    fallback = handler._fallback
    assert fallback == "zz"
    assert handler.passed.refused == 1
    assert kept_by("zz") == ["late"]


def kept_by(name: str) -> list[str]:
    handler = logging._handlers[name]  # type: ignore[attr-defined]  # public from 3.12 on
    assert isinstance(handler, Kept)
    return handler.messages


def test_a_fallback_that_is_never_there_is_nobody(app: logging.Logger) -> None:
    handler = configure(
        {"()": CLASS, "name": "a", "processor": f"ext://{__name__}.ship", "fallback": "nobody"}
    )
    handler.close()

    app.error("late")

    assert handler.passed.refused == 1


def test_a_second_configuration_delivers_what_the_first_one_holds(app: logging.Logger) -> None:
    options = {"()": CLASS, "name": "again", "processor": f"ext://{__name__}.ship"}
    first = configure(options)
    app.info("one")
    second = configure(options)
    app.info("two")
    second.flush()

    assert delivered == ["one", "two"]
    assert first.queue.stats().delivered == 1
    assert not first.queue.running


def test_what_is_wrong_is_said_and_starts_nothing() -> None:
    with pytest.raises(ValueError, match="'ship'") as raised:
        configure({"()": CLASS, "name": "wrong", "processor": f"{__name__}.ship"})

    assert "expected a" in str(raised.value.__cause__)
    with pytest.raises(BufferNotFound):
        partitioned_buffer.get("wrong")


def test_what_went_wrong_does_not_hinder_the_next_configuration() -> None:
    with pytest.raises(ValueError, match="'ship'") as raised:
        configure({"()": CLASS, "name": "wrong", "processor": f"{__name__}.ship"})

    handler = configure({"()": CLASS, "name": "right", "processor": f"ext://{__name__}.ship"})
    logging.getLogger("app").info("said")
    handler.close()

    assert delivered == ["said"]
    assert raised.value.__cause__  # which has the one that was not finished
