"""Options are checked at construction, with messages that say what to do."""

import inspect
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from partitioned_buffer import InvalidOption, Map, Queue, Retry, UnknownOption
from partitioned_buffer._core.options.keywords import BatchSize, CommonOptions, MapOptions, Tunable
from partitioned_buffer._core.options.settings import Settings, usable_cpus
from partitioned_buffer.testing import RecordingProcessor


async def coroutine(_: Any) -> None:
    pass


class AsyncCallable:
    async def __call__(self, _: Any) -> None:
        pass


BAD = [
    ("name", "", "a text"),
    ("name", 7, "a text"),
    ("processor", None, "a plain function"),
    ("processor", "print", "a plain function"),
    ("processor", coroutine, "coroutine function"),
    ("processor", AsyncCallable(), "coroutine function"),
    ("partitions", 0, "from 1, or None"),
    ("partitions", -1, "from 1, or None"),
    ("partitions", 1.0, "from 1, or None"),
    ("partitions", True, "from 1, or None"),
    ("processing_interval", 0, "seconds above 0"),
    ("processing_interval", -1.0, "seconds above 0"),
    ("processing_interval", float("inf"), "seconds above 0"),
    ("processing_interval", float("nan"), "seconds above 0"),
    ("processing_interval", "5", "seconds above 0"),
    ("processing_batch_size", 0, 'or "table"'),
    ("processing_batch_size", "all", 'or "table"'),
    ("processing_batch_size", None, 'or "table"'),
    ("processing_timeout", 0, "seconds above 0"),
    ("processing_timeout", None, "seconds above 0"),
    ("flush_at", 0, "from 1, or None"),
    ("flush_at", "10", "from 1, or None"),
    ("hooks", print, "plain functions"),
    ("hooks", ["print"], "plain functions"),
    ("clock", None, "a Clock"),
    ("remember_versions", -1, "from 0"),
]


@pytest.mark.parametrize(("option", "value", "expected"), BAD)
def test_a_bad_value_names_option_value_and_expectation(
    option: str, value: Any, expected: str
) -> None:
    options = {"name": "events", "processor": print, option: value}

    with pytest.raises(InvalidOption) as caught:
        Map(**options)

    message = str(caught.value)
    assert message.startswith(f"{option}={value!r}: expected ")
    assert expected in message


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("attempts", 0, "a whole number from 1, or math.inf, or None"),
        ("wait_initial", -1, "a finite number of seconds from 0"),
        ("wait_max", float("inf"), "a finite number of seconds from 0"),
        ("multiplier", 0.5, "a finite number from 1"),
        ("jitter", 1.5, "a fraction from 0 to 1"),
        ("deadline", "1", "a finite number of seconds from 0, or None"),
        ("on", 7, "an exception type, or a tuple of them"),
        ("never", [OSError], "an exception type, or a tuple of them"),
        ("split", 1, "True or False"),
    ],
)
def test_a_bad_value_of_a_retry_is_named_too(option: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Retry(**{option: value})

    assert str(caught.value) == f"Retry({option}={value!r}): expected {expected}"


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownOption, match="'procesing_interval': did you mean 'processing_inter"):
        Queue("events", print, procesing_interval=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown option 'zzz': expected one of block_timeout, "):
        Queue("events", print, zzz=1)  # type: ignore[call-arg]
    with pytest.raises(UnknownOption, match="remember_versions"):
        Queue("events", print, remember_versions=1)  # type: ignore[call-arg]


def test_the_defaults() -> None:
    made = Queue[Any]("events", RecordingProcessor())._settings

    assert made.partitions == usable_cpus()
    assert made.processing_interval == 5.0
    assert made.processing_batch_size == 10
    assert made.processing_timeout == 60.0
    assert made.flush_at is None
    assert made.partition_key is None
    assert made.hooks == ()


def test_whole_numbers_are_fine_as_seconds() -> None:
    assert Queue("events", print, processing_interval=1)._settings.processing_interval == 1


def test_the_typed_keywords_agree_with_the_declaration() -> None:
    declared = get_type_hints(Settings)
    typed = {**get_type_hints(CommonOptions), "processing_batch_size": BatchSize}
    typed["partition_key"] = object

    names = {f.name for f in fields(Settings)} - {"name", "processor"}
    assert set(typed) | {"remember_versions", "merge"} == names
    assert get_type_hints(MapOptions).keys() - typed.keys() == {"remember_versions"}
    for option, kind in {**typed, **get_type_hints(MapOptions), **get_type_hints(Tunable)}.items():
        assert declared[option] == kind, option
    tunable = {f.name for f in fields(Settings) if f.metadata.get("tunable")}
    assert set(get_type_hints(Tunable)) == tunable


@pytest.mark.parametrize("kind", [Queue, Map])
@pytest.mark.parametrize("option", ["processing_batch_size", "partition_key"])
def test_the_defaults_in_the_signature_are_the_declared_ones(kind: Any, option: str) -> None:
    default = inspect.signature(kind).parameters[option].default

    assert default == next(f.default for f in fields(Settings) if f.name == option)


def test_every_option_has_a_check_and_documentation() -> None:
    for option in fields(Settings):
        assert option.metadata["check"].expected
        assert option.metadata["doc"].endswith((".", "guide."))
