"""
Writes of many: all at once if that can be, else in parts; where something is dropped, one by one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

from ...errors import PartitionedBufferError
from ..tables.step import CLOSED, FULL, MADE
from ..waiting.steps import Steps
from .admission import Admission


class Piece(ABC):
    """What a write of many writes to one table; all or nothing of it if it is *atomic*."""

    def __init__(self, table: Any, ops: Sequence[Any], atomic: bool = True) -> None:
        self.table, self.ops, self.atomic = table, ops, atomic
        self.size, self.done = len(ops), 0

    @abstractmethod
    def one(self, op: Any, first: bool) -> int:
        """Make one write."""

    @abstractmethod
    def many(self, ops: Sequence[Any], first: bool) -> int:
        """Make many, all or none."""

    @abstractmethod
    def needs(self, end: int) -> tuple[int, int]:
        """Return how much new room those would take that come before *end*."""

    def write(self, end: int, first: bool) -> int:
        """Make those that come before *end*, if there is room for all."""
        ops = self.ops if end - self.done == self.size else self.ops[self.done : end]
        if self.atomic and len(ops) != 1:
            outcome = self.many(ops, first)
            self.done = end if outcome == MADE else self.done
            return outcome
        for op in ops:
            if (outcome := self.one(op, first)) != MADE:
                return outcome
            self.done += 1
        return MADE


def write(admission: Admission, pieces: Sequence[Piece]) -> Steps[None]:
    """Write all *pieces*: at once if that can be, else in parts; where it drops, one by one."""
    try:
        outcome = _at_once(admission, pieces)
        find_room = partial(_find_room, admission, pieces)
        yield from admission.insist(outcome, partial(_at_once, admission, pieces), find_room)
    except BaseException as error:
        done, total = sum(p.done for p in pieces), sum(p.size for p in pieces)
        accepted = f"{done} of {total} items of this call were accepted"
        if done and isinstance(error, PartitionedBufferError):
            raise type(error)(f"{accepted}, then: {error}") from error
        if done:  # interrupted, cancelled, or of the user's own making
            error.add_note(accepted)
        raise


def _at_once(admission: Admission, pieces: Sequence[Piece], first: bool = False) -> int:
    left = [piece for piece in pieces if piece.done < piece.size]
    is_step = len(left) == 1 and left[0].atomic  # then the table sees to it
    room = None if is_step or not left else admission.room
    if room is not None and not room.has(*_needs(left), first):
        return CLOSED if any(piece.table.closed for piece in left) else FULL
    for piece in left or pieces[:1]:
        if (outcome := piece.write(piece.size, first)) != MADE:
            return outcome
    return MADE


def _needs(pieces: Sequence[Piece]) -> tuple[int, int]:
    needs = [piece.needs(piece.size) for piece in pieces]
    return sum(size for size, _ in needs), sum(weight for _, weight in needs)


def _find_room(admission: Admission, pieces: Sequence[Piece]) -> Steps[int]:
    """Go on with *pieces* that found no room."""
    left = [piece for piece in pieces if piece.done < piece.size]
    needs, policy = _needs(left), admission.settings.when_full
    if policy == "raise" or (policy == "block" and admission.fits(needs)):
        tables = [piece.table for piece in left]
        return (yield from admission.wait(partial(_at_once, admission, pieces), tables, needs))
    for piece in left:
        while piece.done < piece.size:
            end = _part(admission, piece) if policy == "block" else piece.done + 1
            if (outcome := piece.write(end, False)) == FULL:
                write, needs = partial(piece.write, end), piece.needs(end)
                outcome = yield from admission.wait(write, [piece.table], needs)
            if outcome != MADE:
                return outcome
    return MADE


def _part(admission: Admission, piece: Piece) -> int:
    """Return up to where *piece* can fit."""
    end, step = piece.done + 1, 1
    while end + step <= piece.size and admission.fits(piece.needs(end + step)):
        end, step = end + step, 2 * step
    while step := step // 2:
        if end + step <= piece.size and admission.fits(piece.needs(end + step)):
            end += step
    return end
