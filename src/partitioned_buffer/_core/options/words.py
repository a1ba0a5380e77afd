"""
What a stranger tries: words that others have for our options, and values of a near kind.

Who uses one is answered with what it is here.
"""

import difflib
import inspect
import sys
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from .checks import TIMEOUT, is_generator_function

_OTHERS = {
    "block_timeout": "push_timeout put_timeout queue_timeout max_block",
    "clock": "time timer time_source now",
    "dead_letter": """deadletter dead_letters dead_letter_handler dead_letter_queue dlq on_error
        on_failure on_fail on_give_up on_giveup error_handler error_callback fallback""",
    "exit_timeout": """shutdown_timeout stop_timeout drain_timeout graceful_timeout grace
        grace_period close_timeout join_timeout atexit_timeout""",
    "flush_at": """flush_size flush_count flush_threshold threshold max_count min_batch_size
        high_watermark watermark trigger_size flush_when flush_every_n""",
    "hooks": "hook callbacks listeners listener on_event events subscribers observers telemetry",
    "interval_jitter": "jitter",
    "max_bytes": """max_memory memory_limit memory buffer_memory max_size_bytes byte_limit
        bytes_limit max_queue_bytes""",
    "max_size": """maxsize max_items max_length maxlen max_len max_queue_size max_queue
        queue_size queue_max_size queue_length buffer_size max_buffer_size size capacity limit
        bound max_entries max_pending max_buffered high_water""",
    "merge": "reduce reducer combine combiner aggregate aggregator conflate merger update_fn",
    "name": "id label title",
    "partition_key": """key key_fn key_func key_function partition_by partitioner partition_fn
        shard_key shard_by group_by group_key route router routing_key hash_key""",
    "partitions": """workers num_workers max_workers n_workers worker_count concurrency
        max_concurrency parallelism threads num_threads max_threads thread_count shards num_shards
        num_partitions partition_count tasks lanes consumers""",
    "processing_batch_size": """batch batches batchsize batch_size batch_max max_batch
        max_batch_size batch_max_size batch_limit batch_count batch_length batch_items
        max_batch_items chunk chunksize chunk_size bulk_size page_size max_records
        max_export_batch_size max_items_per_batch""",
    "processing_interval": """interval flush_interval batch_interval linger period every delay
        frequency max_wait max_delay max_latency max_linger schedule_delay batch_timeout
        flush_every flush_after flush_period flush_timeout window batch_window wait poll_interval
        tick upload_interval buffer_timeout max_age""",
    "processing_timeout": "timeout call_timeout process_timeout processor_timeout export_timeout",
    "processor": """process handler handle callback fn func function target consumer consume sink
        on_batch on_flush flush worker writer send export exporter""",
    "remember_versions": "versions version_cache remember",
    "retry": """retries max_retries num_retries retry_count retry_policy attempts max_attempts
        tries max_tries backoff retry_backoff retry_delay""",
    "size_of": "sizeof size_fn get_size weigh weigher weight",
    "when_full": """on_full full overflow on_overflow overflow_policy overflow_strategy strategy
        policy full_mode drop drop_policy backpressure block blocking discard""",
}
_OURS = {word: ours for ours, words in _OTHERS.items() for word in words.split()}
_ALSO = {
    "processing_timeout": "for how long a write waits for room is block_timeout, for how long the "
    "end of the program waits is exit_timeout, and stop() and flush() take a timeout of their own",
    "retry": "as Retry(attempts=3), say",
}
_UNITS = ("_milliseconds", "_millis", "_ms", "_seconds", "_secs", "_sec", "_s")


def unknown(option: str, known: Collection[str]) -> str:
    """Say that *option* is not among the *known* ones, and which of them is meant."""
    word = option.lower()
    unit = next((unit for unit in _UNITS if word.endswith(unit)), "")
    ours = _meant(word.removesuffix(unit), known)
    if ours is None:
        return f"unknown option {option!r}: expected one of {', '.join(sorted(known))}"
    said = f"unknown option {option!r}: did you mean {ours!r}"
    also = _ALSO.get(ours) if ours != word else None
    return f"{said}{', in seconds' if unit else ''}?{f' ({also})' if also else ''}"


def _meant(word: str, known: Collection[str]) -> str | None:
    for spelt in (word, word.replace("-", "_"), word.replace("_", "")):
        if spelt in known:
            return spelt
        if _OURS.get(spelt) in known:
            return _OURS[spelt]
    near = difflib.get_close_matches(word, [*known, *_OURS], 1, 0.75)
    ours = _OURS.get(near[0], near[0]) if near else None
    return ours if ours in known else None


def hint(value: Any) -> str:
    """Return what to do with a *value* of a near kind, for the end of a message; or nothing."""
    if isinstance(value, timedelta):
        return "; a timedelta has total_seconds()"
    if isinstance(value, int) and abs(value) > sys.maxsize:
        return "; this one is beyond all that a computer counts"
    if is_generator_function(value):
        return (
            "; calling a generator function runs none of it, so nothing would be delivered: "
            "deliver in a function that has no yield"
        )
    if inspect.iscoroutine(value):
        return "; this is what a call of it returned: give the function itself"
    return ""


def shown(value: Any) -> str:
    """Return *value* as a message shows it, whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # an int may have too many digits for that, and anything else a fault
        return f"<{type(value).__name__}>"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_timeout(timeout: float) -> None:
    """Raise `ValueError` unless *timeout*, of a call, is one."""
    if not TIMEOUT.passes(timeout):
        raise ValueError(f"timeout={shown(timeout)}: expected {TIMEOUT.expected}, or None")
