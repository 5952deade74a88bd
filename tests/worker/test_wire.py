"""What a machine and a pool say at the same time goes as one message, in its order and within a size."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ar_proto.v1 import work_pb2
from ar_worker.wire import apart, task_from_wire, together


def said(number: int, size: int) -> work_pb2.WorkRequest:
    return work_pb2.WorkRequest(goodbye=work_pb2.Goodbye(reason=f"{number} ".ljust(size, "x")))


@given(st.lists(st.integers(1, 200_000), max_size=12), st.booleans())
def test_nothing_is_lost_or_changes_places(sizes: list[int], ended: bool) -> None:
    """``ended``: the end is known before anything was sent."""

    async def through() -> list[work_pb2.WorkRequest]:
        outbox: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
        for number, size in enumerate(sizes):
            outbox.put_nowait(said(number, size))
        if ended:
            outbox.put_nowait(None)
        else:
            asyncio.get_running_loop().call_later(0.001, outbox.put_nowait, None)
        return [message async for message in together(outbox)]

    sent = asyncio.run(asyncio.wait_for(through(), 60))
    flat = [one for message in sent for one in (message, *message.more)]
    assert [one.goodbye.reason.split(" ")[0] for one in flat] == [str(number) for number in range(len(sizes))]
    assert all(not one.more for message in sent for one in message.more)
    assert all(not message.more or message.ByteSize() < 300_000 for message in sent)


def test_what_is_ready_goes_together() -> None:
    async def through() -> list[work_pb2.WorkRequest]:
        outbox: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
        for item in (said(1, 10), said(2, 10), None):
            outbox.put_nowait(item)
        return [message async for message in together(outbox)]

    (only,) = asyncio.run(asyncio.wait_for(through(), 60))
    assert [one.goodbye.reason.strip("x ") for one in only.more] == ["2"]


def test_no_more_goes_together_than_a_pool_takes() -> None:
    """A machine that comes back may have thousands of small reports to send."""

    async def through() -> list[work_pb2.WorkRequest]:
        outbox: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
        for number in range(1200):
            outbox.put_nowait(said(number, 10))
        outbox.put_nowait(None)
        return [message async for message in together(outbox)]

    sent = asyncio.run(asyncio.wait_for(through(), 60))
    assert sum(1 + len(message.more) for message in sent) == 1200
    assert all(1 + len(message.more) <= 500 for message in sent)


def test_messages_that_came_as_one() -> None:
    first = work_pb2.WorkResponse(wait=work_pb2.Wait())
    second = work_pb2.WorkResponse(ask=work_pb2.Ask(programs=["sh"]))
    first.more.append(second)
    assert [message.WhichOneof("message") for message in apart(first)] == ["wait", "ask"]
    assert list(apart(second)) == [second]


def test_hashes_that_were_tried() -> None:
    task = work_pb2.Task(tried_hashes=bytes(32) + bytes([255]) * 32)
    assert task_from_wire(task).tried == {"00" * 32, "ff" * 32}
    assert task_from_wire(work_pb2.Task()).tried == frozenset()
