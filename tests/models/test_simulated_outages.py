"""
An outage is not poison: what the default policy makes of days of trouble, in simulated time.

First scenes, with the numbers that they cost; then properties, of any outage and poison. That
nothing is lost or delivered twice, that nothing overtakes, and that a dead letter says how often
its very item was tried, the simulation asserts in each.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import event, given, settings
from hypothesis import strategies as st
from simulator import Answer, Item, Script, Simulation, between, destination, load

from partitioned_buffer import PartialFailure, Reject, Retry, RetryAfter, Split

HOUR, LONGEST_WAIT = 3600.0, 60.0
FEW = frozenset(k for k in range(1000) if random.Random(k).random() < 0.01)
MANY = frozenset(k for k in range(1000) if random.Random(k).random() < 0.05)


# --- scenes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hang", [0.005, 10.0])
@pytest.mark.parametrize("partitions", [1, 8])
def test_three_hours_down_lose_nothing_and_cost_few_calls(partitions: int, hang: float) -> None:
    end = 60 + 3 * HOUR
    pushes = load(6000, partitions, every=2.0)
    run = Simulation(destination(between(60, end), hang=hang), pushes, partitions=partitions)

    assert not run.dead
    assert not run.held
    assert run.down <= 3.5 * 3 * HOUR / LONGEST_WAIT, "in the whole buffer"
    after = [call.at for call in run.calls if not call.error and call.at > end]
    assert after[0] - end <= LONGEST_WAIT + 2 * hang, "within a wait of its end"


def test_a_flush_ten_times_a_second_does_not_hammer_what_is_down() -> None:
    flushes = [k / 10 for k in range(int(HOUR) * 10)]
    run = Simulation(destination(between(0, HOUR)), load(1000), flushes=flushes, until=2 * HOUR)

    assert run.down <= 1.6 * HOUR
    assert len(run.delivered) == 1000


def test_poison_is_settled_when_the_outage_is_over() -> None:
    pushes = load(1000, every=2.0, poison=FEW.__contains__)
    run = Simulation(destination(between(60, 60 + 3 * HOUR)), pushes)

    assert sorted(item.number for item in run.given_up) == sorted(FEW)
    assert not run.held
    assert run.drained is not None
    assert run.drained < 3.25 * HOUR


def test_one_poison_in_a_thousand_is_settled_in_half_a_minute() -> None:
    run = Simulation(destination(), load(1000, poison=lambda k: k == 503))

    assert [item.number for item in run.given_up] == [503]
    assert len(run.calls) <= 120
    assert run.drained is not None
    assert run.drained <= 5 + 32, "the first cycle begins at 5 s"


@pytest.mark.parametrize("bulk", [False, True], ids=["raised", "named"])
def test_five_percent_of_poison_holds_nobody_up_for_ever(bulk: bool) -> None:
    pushes = load(1000, poison=MANY.__contains__)
    run = Simulation(destination(bulk=bulk), pushes, may_overtake=bulk)

    assert sorted(item.number for item in run.given_up) == sorted(MANY)
    assert not run.held
    assert run.drained is not None
    assert run.drained < 2500


def test_poisons_in_a_row_hide_what_is_behind_them_but_not_for_ever() -> None:
    run = Simulation(destination(), load(1000, poison=lambda k: k < 20))

    assert [item.number for item in run.given_up] == list(range(20))
    assert len(run.delivered) == 980


def test_a_poison_alone_stays_for_want_of_evidence_until_something_good_is_behind_it() -> None:
    assert Simulation(destination(), load(1, poison=lambda _: True)).held

    good = [(HOUR, 0, [Item(1, 0)])]
    run = Simulation(destination(), load(1, poison=lambda _: True) + good)

    assert [item.number for item in run.given_up] == [0]
    assert not run.held


def test_a_poison_that_is_last_is_given_up_for_what_went_through_before_it() -> None:
    run = Simulation(destination(), load(3, poison=lambda k: k == 2))

    assert [item.number for item in run.given_up] == [2]


def test_flapping_and_random_failures_cost_no_innocent() -> None:
    flapping = Simulation(
        destination(lambda now, _p, _i: now < HOUR and now % 40 < 20),
        load(4000, 4, every=1.0),
        partitions=4,
    )
    at_random = Simulation(
        destination(lambda now, _p, _i: now < HOUR and hash(int(now * 1000) * 7919) % 2 == 0),
        load(4000, 4, every=1.0),
        partitions=4,
    )

    assert not flapping.dead
    assert not at_random.dead


def is_shard_3(now: float, _partition: int, item: Item) -> bool:
    return item.shard == 3 and now < 3 * HOUR


def test_one_partition_that_is_down_costs_the_others_nothing() -> None:
    pushes = load(2000, 10, every=2.0, shards=10)
    run = Simulation(destination(is_shard_3), pushes, partitions=10)

    assert not run.dead
    assert all(call.at < 4010 for call in run.calls if call.partition != 3)


def test_an_error_that_is_always_an_outage_is_never_counted() -> None:
    pushes = load(2000, every=2.0, shards=10)
    run = Simulation(destination(is_shard_3), pushes, retry=Retry(always=ConnectionError))

    assert not run.dead
    assert not run.held
    assert run.down < 300


def test_batches_that_are_too_large_shrink_and_one_that_is_too_large_alone_is_given_up() -> None:
    pushes = load(1000, size=lambda k: 9 if k == 500 else 1)
    run = Simulation(destination(limit=6, too_large=Split), pushes)

    assert [item.number for item in run.given_up] == [500]
    assert len(run.calls) < 250, "no fewer than 167"
    assert run.drained is not None
    assert run.drained < 10, "without a wait"


def test_an_outage_that_ends_at_any_instant_costs_no_innocent() -> None:
    for seed in range(40):
        chance = random.Random(seed)
        begin, lasts = chance.uniform(0, 60), 10 ** chance.uniform(1, 4)
        for hang in (0.005, 1.0, 30.0):
            run = Simulation(
                destination(between(begin, begin + lasts), hang=hang),
                load(200, 4, every=1.0),
                partitions=4,
                until=begin + lasts + 4000,
                seed=seed,
            )
            assert not run.dead, (seed, hang)


def test_an_outage_that_ends_while_a_call_hangs_costs_no_innocent() -> None:
    for end in range(100, 900, 5):
        run = Simulation(
            destination(between(0, end), hang=10.0),
            load(20),
            retry=Retry(jitter=0.0),
            until=end + 1000.0,
        )
        assert not run.dead, end


def test_no_probes_are_made_where_everybody_is_in_trouble() -> None:
    run = Simulation(
        destination(between(0, HOUR)), load(80, 4), size=1, partitions=4, until=HOUR - 1
    )

    assert {call.items[0].number for call in run.calls} == {0}


# --- properties -----------------------------------------------------------------------------------

Scene = dict[str, Any]
scenes: st.SearchStrategy[Scene] = st.fixed_dictionaries(
    {
        "partitions": st.integers(1, 3),
        "items": st.integers(1, 30),
        "size": st.sampled_from([1, 2, 3, 10, None]),
        "split": st.booleans(),
        "outages": st.lists(st.tuples(st.floats(0, 2000), st.floats(0.5, 3000)), max_size=3),
        "poison": st.sets(st.tuples(st.integers(0, 2), st.integers(0, 29)), max_size=8),
        "style": st.sampled_from(["raise", "partial", "group", "reject", "never", "busy"]),
        "flushes": st.lists(st.floats(0, 4000), max_size=6),
        "seed": st.integers(0, 9),
    }
)
thorough = settings(max_examples=rounds(600, least=40), deadline=None)

STYLES: dict[str, Callable[[list[Item]], BaseException]] = {
    "partial": lambda bad: PartialFailure(retry={item: item.poison for item in bad}),
    "reject": lambda bad: PartialFailure(reject=dict.fromkeys(bad, "no")),
    "never": lambda _bad: TypeError("never"),
    "group": lambda bad: BaseExceptionGroup("several", [i.poison for i in bad if i.poison]),
}


def script(scene: Scene) -> Script:
    def answer(now: float, _partition: int, items: list[Item]) -> Answer:
        if any(begin <= now < begin + lasts for begin, lasts in scene["outages"]):
            down: Exception = RetryAfter(5) if scene["style"] == "busy" else ConnectionError()
            group = scene["style"] == "group"
            return 0.001, ExceptionGroup("several", [down]) if group else down, True
        bad = [item for item in items if item.poison]
        if not bad:
            return 0.001, None, False
        style = STYLES.get(scene["style"])
        return 0.001, style(bad) if style else bad[0].poison, False

    return answer


def simulate(scene: Scene, until: float = 60_000.0) -> Simulation:
    pushes = []
    for index in range(scene["partitions"]):
        bad = {number for partition, number in scene["poison"] if partition == index}
        items = [
            Item(number, index, ValueError("bad") if number in bad else None)
            for number in range(scene["items"])
        ]
        pushes.append((0.0, index, items))
    return Simulation(
        script(scene),
        pushes,
        partitions=scene["partitions"],
        size=scene["size"],
        retry=Retry(split=scene["split"], never=TypeError),
        flushes=sorted(scene["flushes"]),
        until=until,
        seed=scene["seed"],
        # A PartialFailure itself lets the rest of its batch overtake what it names.
        may_overtake=scene["style"] in ("partial", "reject"),
    )


@thorough
@given(scenes)
def test_what_is_given_up_has_failed_by_its_word_or_beside_something_that_went_through(
    scene: Scene,
) -> None:
    run = simulate(scene)
    for dead in run.dead:
        if isinstance(dead.error, Reject | TypeError):
            continue
        index = dead.items[0].partition
        own = [call for call in run.calls if call.partition == index]
        good = [c.at for c in own if c.error is None or isinstance(c.error, PartialFailure)]
        assert good, "evidence is of the same partition"
        if scene["split"]:
            ends = [begin + lasts for begin, lasts in scene["outages"]]
            innocent = not all(item.poison for item in dead.items)
            assert not innocent or any(abs(end - dead.at) < 1.1 for end in ends)
            event(f"innocent: {innocent}")


@thorough
@given(scenes)
def test_all_is_settled_in_the_end_but_poison_with_nothing_good_behind_it(scene: Scene) -> None:
    run = simulate(scene, until=100_000.0)
    if scene["split"]:
        assert all(item.poison for item in run.held)


@thorough
@given(
    items=st.integers(1, 40),
    size=st.sampled_from([1, 3, 10, None]),
    outage=st.floats(100, 20_000),
    partitions=st.integers(1, 4),
    seed=st.integers(0, 5),
)
def test_what_is_down_is_not_hammered(
    items: int, size: int | None, outage: float, partitions: int, seed: int
) -> None:
    scene: Scene = {
        "partitions": partitions,
        "items": items,
        "size": size,
        "split": True,
        "outages": [(0.0, outage)],
        "poison": set(),
        "style": "raise",
        "flushes": [],
        "seed": seed,
    }
    run = simulate(scene, until=outage - 1)

    assert not run.dead
    for index, lane in enumerate(run.lanes):
        calls, rounds = sum(call.partition == index for call in run.calls), lane.waits + 1
        halvings = math.ceil(math.log2(min(items, size or items))) + 1
        assert calls <= 2 * rounds + halvings + 2 * (rounds // 8 + 1)


@thorough
@given(
    items=st.integers(1, 12),
    size=st.sampled_from([1, 4, 10]),
    deadline=st.floats(0, 50),
    attempts=st.sampled_from([None, math.inf]),
)
def test_a_deadline_is_each_items_own_and_kept(
    items: int, size: int, deadline: float, attempts: float | None
) -> None:
    retry = Retry(deadline=deadline, attempts=attempts)
    run = Simulation(destination(lambda *_: True), load(items), size=size, retry=retry)

    assert len(run.given_up) == items
    first: dict[Item, float] = {}
    for call in run.calls:
        for item in call.items:
            first.setdefault(item, call.at)
    for dead in run.dead:
        assert all(dead.at - first[item] <= deadline + 0.2 for item in dead.items)
