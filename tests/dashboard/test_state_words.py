"""How a buffer does, in a word, where each call raises, of all of its batch or of a part."""

from helpers import Buffers

from partitioned_buffer import PartialFailure
from partitioned_buffer.dashboard.states import states
from partitioned_buffer.testing import FakeClock


def test_what_gets_through_beside_what_is_refused_is_no_outage(
    buffers: Buffers, clock: FakeClock
) -> None:
    def send(batch: list[int]) -> None:
        raise PartialFailure(reject=[each for each in batch if each % 2])

    queue = buffers.queue(processor=send, dead_letter=lambda *_: None, processing_interval=1.0)
    for second in range(20):
        queue.push_all(range(10))
        clock.advance(1.0)
        queue.push(second)
        stats = queue.stats()
        assert stats.last_success is None
        assert states(queue, stats) == ["failing", "flowing"]


def test_what_does_not_get_through_is_one(buffers: Buffers, clock: FakeClock) -> None:
    down = [False]

    def send(batch: list[int]) -> None:
        if down[0]:
            raise OSError("down")

    queue = buffers.queue(processor=send, processing_interval=1.0)
    queue.push(1)
    clock.advance(2.0)
    down[0] = True
    queue.push(2)
    clock.advance(2.0)
    clock.advance(15.0)
    assert states(queue, queue.stats())[0] == "outage"
    down[0] = False
