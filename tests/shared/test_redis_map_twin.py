"""A Map on a server is what it is in memory: by chance, whatever is written, settled and lost."""

import random
from typing import Any

import pytest
from helpers import rounds
from mapops import add, delete, kept, newer, ops_of, part, put
from parcels import kinds
from relays import Relay

from partitioned_buffer.abc.sharing import (
    Claim,
    MapOp,
    SharedStore,
    SharedTerms,
    StorageAway,
    Swap,
    Want,
)
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.testing.contract.shared.maps.ops import number_of, split
from partitioned_buffer.testing.sharing import SharedDict

KEYS = "abcdef"
TOP = 1 << 53


def some_op(chance: random.Random) -> MapOp:
    key, clears = chance.choice(KEYS), chance.random() < 0.1
    match chance.randrange(7):
        case 0:
            return put(key, str(chance.randrange(99)), clears=clears)
        case 1 | 2:
            version = chance.choice([chance.randrange(-3, 9), TOP, TOP + 1, -TOP])
            return newer(key, "v", version, updates=chance.randrange(3), clears=clears)
        case 3:
            return delete(key)
        case 4:
            number = chance.choice([1, -5, 0.5, -0.25, TOP - 1, TOP, -TOP, TOP + 1])
            return add(key, number, clears=clears)
        case 5:
            return add(key, chance.randrange(100))
        case _:
            return part(
                key, *chance.choices(["x", "y" * 50, "z" * 300_000], [9, 9, 1]), clears=clears
            )


def said(record: bytes | None) -> Any:
    """Return what a record says: floats are written in many ways."""
    if record is None:
        return None
    what = kept(record)
    match what.mode:
        case b"A":
            return what._replace(value=repr(number_of(what.value)).encode())
        case b"M":
            return what._replace(value=repr(split(what.value)).encode())
    return what


class Twins:
    """A store on a server, and one in memory: what one says the other has to say."""

    def __init__(self, name: str, relay: Relay, chance: random.Random) -> None:
        self.chance, self.relay, self.known, self.swap = chance, relay, 0, -1
        terms = SharedTerms(name, "Map", 1, "host:1", chance.choice([0, 100]))
        far, near = Redis(relay.url, codec="pickle"), SharedDict()
        self.stores: list[SharedStore] = [far.share(terms), near.share(terms)]
        self.claims = [store.claim(0) for store in self.stores]
        self.hand, self.gone = set[bytes](), set[bytes]()

    def write(self) -> None:
        ops = [some_op(self.chance) for _ in range(self.chance.randrange(1, 6))]
        parcel, cut = ops_of(*ops, known=self.known), self.chance.random() < 0.1
        self.relay.cut_replies = int(cut)
        far = self._heard(lambda: kinds(self.stores[0].append(0, "p", [parcel])))
        near = kinds(self.stores[1].append(0, "p", [parcel]))
        assert far == near, ops
        if near == [None]:
            self.known += len(ops)

    def _heard(self, call: Any) -> Any:
        """Call until there is a reply."""
        while True:
            try:
                found = call()
            except StorageAway:
                continue
            if found != ["StorageAway"]:
                return found

    def step(self) -> None:
        gone = [key for key in sorted(self.hand) if self.chance.random() < 0.6]
        buried = [key for key in gone if self.chance.random() < 0.2]
        delivered = [key for key in gone if key not in buried]
        self.relay.cut_replies = int(self.chance.random() < 0.1)
        wants, may_swap = self.chance.choice([0, 100]), self.chance.random() < 0.8

        def one(store: SharedStore, claim: Claim | None) -> Swap:
            assert claim is not None
            want = Want(claim, self.swap, wants, 1 << 30, 0, delivered, buried, may_swap)
            (swap,) = store.step(0, [want])
            if isinstance(swap, StorageAway):
                raise swap
            assert isinstance(swap, Swap)
            return swap

        far, near = (
            self._heard(lambda store=store, claim=claim: one(store, claim))
            for store, claim in zip(self.stores, self.claims, strict=True)
        )
        assert {key: said(record) for key, record in far.entries} == {
            key: said(record) for key, record in near.entries
        }
        assert far._replace(entries=()) == near._replace(entries=())
        self.hand = (self.hand - set(gone) if far.number == self.swap else set()) | {
            key for key, _ in far.entries
        }
        self.swap = far.number

    def look(self) -> None:
        for key in KEYS:
            far, near = (store.get(0, key.encode(), "p") for store in self.stores)
            for one, other in zip(far[:2], near[:2], strict=True):
                assert said(one) == said(other)
            assert far.mark == near.mark
        far_depth, near_depth = (store.depth()[0] for store in self.stores)
        assert far_depth._replace(oldest=None, owner=None) == near_depth._replace(
            oldest=None, owner=None
        )
        assert (far_depth.oldest is None) == (near_depth.oldest is None)


@pytest.mark.parametrize("seed", range(rounds(60)))
def test_a_map_on_a_server_is_what_it_is_in_memory(name: str, relay: Relay, seed: int) -> None:
    twins = Twins(name, relay, random.Random(seed))
    try:
        for _ in range(150):
            twins.chance.choice([twins.write, twins.write, twins.step])()
            twins.look()
    finally:
        relay.cut_replies = 0
        for store in twins.stores:
            store.close()
