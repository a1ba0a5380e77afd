"""Who makes a mistake of a first hour is told what to do instead."""

import asyncio
import copy
import pickle
from collections import OrderedDict
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from helpers import Buffers

import partitioned_buffer
from partitioned_buffer import (
    AsyncMap,
    AsyncQueue,
    BufferAlreadyRunning,
    InvalidOption,
    Map,
    Queue,
    Retry,
    UnknownOption,
)
from partitioned_buffer._core.options import words
from partitioned_buffer._core.options.settings import Settings
from partitioned_buffer.testing import RecordingProcessor

KINDS: list[Any] = [Queue, Map, AsyncQueue, AsyncMap]

# --- options by another name ----------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("batch_size", "processing_batch_size"),
        ("batch", "processing_batch_size"),
        ("max_batch_size", "processing_batch_size"),
        ("chunk_size", "processing_batch_size"),
        ("interval", "processing_interval"),
        ("flush_interval", "processing_interval"),
        ("linger", "processing_interval"),
        ("timeout", "processing_timeout"),
        ("workers", "partitions"),
        ("max_workers", "partitions"),
        ("concurrency", "partitions"),
        ("threads", "partitions"),
        ("shards", "partitions"),
        ("max_items", "max_size"),
        ("maxsize", "max_size"),
        ("max_queue_size", "max_size"),
        ("capacity", "max_size"),
        ("bound", "max_size"),
        ("max_memory", "max_bytes"),
        ("flush_size", "flush_at"),
        ("retries", "retry"),
        ("max_retries", "retry"),
        ("attempts", "retry"),
        ("on_error", "dead_letter"),
        ("dlq", "dead_letter"),
        ("overflow", "when_full"),
        ("key", "partition_key"),
        ("shutdown_timeout", "exit_timeout"),
        ("hook", "hooks"),
        ("jitter", "interval_jitter"),
        # spelt otherwise, or wrong
        ("batchSize", "processing_batch_size"),
        ("BATCH_SIZE", "processing_batch_size"),
        ("batch-size", "processing_batch_size"),
        ("bacth_size", "processing_batch_size"),
        ("flush_intervall", "processing_interval"),
        ("processing_batchsize", "processing_batch_size"),
        ("maxSize", "max_size"),
        ("name2", "name"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_others_are_answered_with_ours(kind: Any, theirs: str, ours: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        kind("events", print, **{theirs: 1})

    assert str(caught.value).startswith(f"unknown option {theirs!r}: did you mean {ours!r}?")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("linger_ms", "processing_interval"),
        ("interval_seconds", "processing_interval"),
        ("processing_interval_ms", "processing_interval"),
        ("timeout_s", "processing_timeout"),
    ],
)
def test_a_unit_in_a_name_is_answered_with_seconds(theirs: str, ours: str) -> None:
    with pytest.raises(UnknownOption, match=f"'{theirs}': did you mean '{ours}', in seconds\\?"):
        Queue("events", print, **{theirs: 1})  # type: ignore[arg-type]


def test_a_word_with_several_meanings_is_answered_with_all_of_them() -> None:
    with pytest.raises(UnknownOption, match=r"block_timeout.* exit_timeout.* stop\(\) and flush"):
        Queue("events", print, timeout=1)  # type: ignore[call-arg]
    with pytest.raises(UnknownOption, match=r"'retry'\? \(as Retry\(attempts=3\), say\)"):
        Queue("events", print, retries=1)  # type: ignore[call-arg]


def test_each_word_means_one_option_that_there_is() -> None:
    every = " ".join(words._OTHERS.values()).split()

    assert len(every) == len(set(every))
    assert set(words._OTHERS) <= set(Settings.__dataclass_fields__)
    assert not set(every) & set(Settings.__dataclass_fields__)


def test_an_option_of_the_other_kind_is_told_from_an_unknown_one() -> None:
    with pytest.raises(UnknownOption, match=r"option 'merge' is one of a Map, not of a Queue"):
        Queue("events", print, merge=max)  # type: ignore[call-arg]
    with pytest.raises(UnknownOption, match="'merge' is one of a Map, not of an AsyncQueue"):
        AsyncQueue("events", print, merge=max)  # type: ignore[call-arg]
    with pytest.raises(UnknownOption, match="unknown option 'reducer': expected one of"):
        Queue("events", print, reducer=max)  # type: ignore[call-arg]


def test_an_option_that_cannot_be_changed_is_told_from_an_unknown_one() -> None:
    queue = Queue[Any]("events", print)

    with pytest.raises(UnknownOption, match=r"'max_size' cannot be changed .* these can: exit"):
        queue.update_options(max_size=3)  # type: ignore[call-arg]
    with pytest.raises(UnknownOption, match="'interval': did you mean 'processing_interval'"):
        queue.update_options(interval=3)  # type: ignore[call-arg]


# --- values of a near kind ---------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("processing_interval", timedelta(seconds=1), r"a timedelta has total_seconds\(\)"),
        ("retry", 3, r"expected a Retry\(\.\.\.\), as Retry\(attempts=3\)"),
    ],
)
def test_a_value_of_a_near_kind_is_answered_with_the_right_one(
    option: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidOption, match=message):
        Queue("events", print, **{option: value})


SECONDS = ["processing_interval", "processing_timeout", "exit_timeout", "block_timeout"]
COUNTS = ["partitions", "processing_batch_size", "flush_at", "max_size", "max_bytes"]


@pytest.mark.parametrize("option", [*SECONDS, *COUNTS, "remember_versions", "interval_jitter"])
@pytest.mark.parametrize(
    "value", [10**400, 10**5000, -(10**400)], ids=["large", "larger", "negative"]
)
def test_a_number_beyond_all_that_is_counted_is_refused(option: str, value: int) -> None:
    wrong: dict[str, Any] = {"name": "events", "processor": print, option: value}
    with pytest.raises(InvalidOption, match=rf"^{option}=.{{3,210}}: expected a") as caught:
        Map(**wrong)
    assert "beyond all that a computer counts" in str(caught.value)


@pytest.mark.parametrize("option", ["attempts", "wait_initial", "wait_max", "multiplier"])
def test_so_it_is_in_a_retry(option: str) -> None:
    with pytest.raises(InvalidOption, match=option):
        Retry(**{option: 10**400})  # type: ignore[arg-type]


@pytest.mark.both_faces
@pytest.mark.parametrize("method", ["stop", "flush"])
def test_so_it_is_as_a_timeout(method: str, buffers: Buffers) -> None:
    queue = buffers.queue()

    with pytest.raises(ValueError, match=r"timeout=1000.*: expected a number of seconds from 0"):
        getattr(queue, method)(10**400)
    assert queue.running
    getattr(queue, method)(1e308)


def test_a_value_that_cannot_be_shown_is_named_by_its_kind() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError

    with pytest.raises(InvalidOption, match="partitions=<Mute>: expected a whole number"):
        Queue("events", print, partitions=Mute())  # type: ignore[arg-type]


# --- arguments missing, or in another order ------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_missing_arguments_name_the_class(kind: Any) -> None:
    name = kind.__name__

    with pytest.raises(InvalidOption, match=r"^processor=None: .* where the storage is shared"):
        kind("events")
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) missing [12]"):
        kind()
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) takes .*3 positional"):
        kind("events", print, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_swapped_arguments_are_shown_in_order(kind: Any) -> None:
    name = kind.__name__

    with pytest.raises(InvalidOption, match=rf"^{name}\(\): the name comes first: {name}\('ev"):
        kind(print, "events")


def test_a_subclass_may_take_arguments_of_its_own() -> None:
    class Named(Queue[Any]):
        def __init__(self, name: str) -> None:
            super().__init__(name, print, partitions=2)

    assert repr(Named("events")) == "<Named 'events' new, 2 partitions>"
    with pytest.raises(TypeError, match=r"Named\.__init__\(\) missing"):
        Named()  # type: ignore[call-arg]


# --- writes ----------------------------------------------------------------------------


class Frame:
    """Has what tells a frame of data, as pandas' and polars' have it."""

    columns = dtypes = ("a", "b")

    def __iter__(self) -> Any:
        return iter(self.columns)


class Interchangeable(Frame):
    __dataframe__ = None
    dtypes = property()


@pytest.mark.both_faces
@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"a": 1}, r"one dict, of which it would push the keys alone.* push\(\) takes a single"),
        (OrderedDict(a=1), "one OrderedDict, of which"),
        (MappingProxyType({"a": 1}), "one mappingproxy, of which"),
        (Frame(), r"got a Frame, .* to_dict\('records'\) of pandas"),
        (Interchangeable(), "got a Interchangeable, of which"),
        ("text", "got one str: expected an iterable"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"max_size": 10}, {"partition_key": hash}])
def test_what_only_looks_like_many_is_not_pushed(
    items: Any, message: str, options: dict[str, Any], buffers: Buffers
) -> None:
    queue = buffers.queue(**options)

    with pytest.raises(TypeError, match=message):
        queue.push_all(items)
    assert queue.stats().accepted == 0


@pytest.mark.both_faces
def test_what_can_be_iterated_over_is_pushed(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push_all({"a": 1}.items())
    queue.push_all({"b"})
    queue.push_all(iter([1]))
    queue.flush()

    assert processor.items == [("a", 1), "b", 1]


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
@pytest.mark.parametrize("name", ["put", "put_all", "put_newer", "get"])
def test_a_queue_says_what_it_has_instead_of_a_maps_methods(kind: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=rf"attribute '{name}': a Queue takes items, by push"):
        getattr(kind("events", print), name)
    assert not hasattr(kind, name)


@pytest.mark.parametrize("kind", [Map, AsyncMap])
@pytest.mark.parametrize("name", ["push", "push_all"])
def test_a_map_says_what_it_has_instead_of_a_queues_methods(kind: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=rf"attribute '{name}': a Map takes entries, by put"):
        getattr(kind("events", print), name)


# --- copies, and cells that are run again ----------------------------------------------


@pytest.mark.both_faces
@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_a_buffer_is_not_copied(make: Any, kind: str, buffers: Buffers) -> None:
    buffer = getattr(buffers, kind)(name="orders")
    buffer = getattr(buffer, "buffer", buffer)  # and not what tests have around it

    with pytest.raises(TypeError, match=r"'orders' cannot be copied or pickled, .*get\('orders'\)"):
        make(buffer)
    with pytest.raises(TypeError, match="cannot be copied"):
        make({"settings": [buffer]} if make is not copy.copy else buffer)
    assert buffer.running
    buffer.stats()


@pytest.mark.both_faces
@pytest.mark.parametrize("name", ["push", "push_all", "stats"])
def test_a_buffers_methods_are_not_pickled(name: str, buffers: Buffers) -> None:
    buffer = buffers.queue(name="orders")
    method = getattr(getattr(buffer, "buffer", buffer), name)

    with pytest.raises(
        TypeError, match=r"cannot be (copied or )?pickled, for its workers and what"
    ):
        pickle.dumps(method)


def test_a_cell_that_is_run_again_is_told_how_to_stop_what_it_left() -> None:
    cell = "made = Queue('signups', print, partitions=1).start()"
    notebook: dict[str, Any] = {"Queue": Queue, "partitioned_buffer": partitioned_buffer}
    exec(cell, notebook)
    try:
        with pytest.raises(BufferAlreadyRunning, match="in a notebook, before the cell") as caught:
            exec(cell, notebook)
    finally:
        _, what_to_do, _ = str(caught.value).split("`")
        exec(what_to_do, notebook)

    exec(cell, notebook)
    notebook["made"].stop()


async def told_to_await() -> None:
    async with AsyncQueue("signups", print, partitions=1):
        other = Queue[Any]("signups", print)
        with pytest.raises(BufferAlreadyRunning, match=r"`await .*get\('signups'\)\.stop\(\)`"):
            other.start()


def test_an_async_one_is_told_to_be_awaited() -> None:
    asyncio.run(told_to_await())
