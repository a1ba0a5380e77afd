"""Tables against their simple models over long walks: few keys, so that much happens to each."""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from table_pairs import FOREIGN, Pair

WALKS = int(os.environ.get("WALKS", "25"))
STEPS = 250
KEYS = [1, "a", (1, "x"), FOREIGN[0], *FOREIGN[5:8]]
WORKER = "swap take take acknowledge keep again again bury release line retune drop".split()
WORKER += ["reach", "reach", "close", "open", "open"]


def places(rng: random.Random) -> set[int] | None:
    return None if rng.random() < 0.3 else {place for place in range(4) if rng.random() < 0.5}


def work(rng: random.Random) -> tuple[Any, ...]:
    """One of the worker's operations."""
    name = rng.choice(WORKER)
    if name in ("take", "again"):
        return name, rng.choice([1, 2, 3, None])
    if name in ("keep", "bury"):
        return name, places(rng)
    if name == "line":
        return name, rng.randrange(3), rng.randrange(3)
    if name == "retune":
        return name, rng.choice([None, 1, 3])
    if name in ("drop", "reach", "open"):
        return name, None if name == "open" else rng.randrange(3)
    return (name,)


def map_walk(rng: random.Random, keys: list[Any]) -> Iterator[tuple[Any, ...]]:
    for step in range(STEPS):
        key, version = rng.choice(keys), rng.choice([None, *range(9)])
        name = rng.choice(["put"] * 4 + ["put_all", "needs", "get", "delete", "has"] + ["work"] * 7)
        if name == "put":
            yield name, key, step, version, rng.randrange(9), rng.random() < 0.2
        elif name == "put_all":
            yield name, some_ops(rng, keys, step), rng.random() < 0.2
        elif name == "needs":
            yield name, some_ops(rng, keys, step)
        else:
            yield work(rng) if name == "work" else (name, key)


def some_ops(rng: random.Random, keys: list[Any], step: int) -> list[Any]:
    versions = [None, *range(9)]
    return [
        (rng.choice(keys), (step, number), rng.choice(versions), rng.randrange(9))
        for number in range(rng.randrange(4))
    ]


def queue_walk(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    for step in range(STEPS):
        name = rng.choice(["push"] * 4 + ["other_push", "push_all"] + ["work"] * 6)
        if name == "push":
            yield name, step, rng.randrange(9), rng.random() < 0.2
        elif name == "other_push":
            yield name, step, rng.randrange(9)
        elif name == "push_all":
            pairs = [((step, number), rng.randrange(5)) for number in range(rng.randrange(4))]
            yield name, pairs, rng.random() < 0.2
        else:
            yield work(rng)


def bounds(rng: random.Random) -> Any:
    return rng.choice([None, None, (3, None), (6, None), (None, 20), (4, 20)])


@pytest.mark.parametrize("when_full", ["block", "raise", "drop_newest", "drop_oldest"])
def test_queues_walk_as_their_model_does(made: Any, when_full: str) -> None:
    for seed in range(WALKS):
        rng = random.Random(f"{when_full} {seed}")
        pair = Pair(made, "Queue", bounds(rng), when_full)
        for name, *args in queue_walk(rng):
            pair.step(name, *args)


@pytest.mark.parametrize("when_full", ["block", "raise", "drop_newest", "drop_oldest"])
def test_maps_walk_as_their_model_does(made: Any, when_full: str) -> None:
    for seed in range(WALKS):
        rng = random.Random(f"{when_full} {seed}")
        merge = rng.choice([None, None, lambda old, new: (old, new)])
        remember = rng.choice([0, 1, 2, 100])
        pair = Pair(made, "Map", bounds(rng), when_full, remember=remember, merge=merge)
        keys = KEYS if seed % 2 else KEYS[:3]
        for name, *args in map_walk(rng, keys):
            pair.step(name, *args)


@pytest.mark.parametrize("first", ["deleted", "settled"])
def test_a_key_that_flies_again_has_one_place(made: Any, first: str) -> None:
    pair = Pair(made, "Map", None, "block")
    steps: list[Any] = [("put", key, 0, None, 0, False) for key in "ab"]
    steps += [("swap",), ("take", 1 if first == "deleted" else 2), ("keep", {0})]
    steps += [("delete", "b"), ("put", "b", 1, None, 0, False), ("put", "c", 1, None, 0, False)]
    steps += [("reach", 2), ("again", None), ("again", 1), ("take", None), ("again", None)]

    for name, *args in steps:
        pair.step(name, *args)
