"""Bench ``dispatch``, the load: many simulated machines in one process, each with a connection of its own.

On standard input come orders (one line of JSON) and, after ``connected`` was printed, ``go``; the last line printed
is what was measured. It ends by itself, and at once when nobody says ``go``.
"""

import asyncio
import json
import secrets
import sys
import time
from typing import Any

import grpc

from ar_core.signing import REPORT_DOMAIN, PrivateKey, sign
from ar_core.tokens import CERTIFICATE_NAME
from ar_proto.v1 import experiment_pb2, work_pb2

ECHO = "/bench.Echo/Echo"
WORK = "/ar_proto.v1.WorkService/Work"
_CONNECTING_AT_A_TIME = 32
_CONNECT_SECONDS = 120.0
_ECHO_BYTES = 280
"""What a report with one experiment and its signature has."""
_OPTIONS = (
    # Else all machines would share one connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.ssl_target_name_override", CERTIFICATE_NAME),
    ("grpc.enable_http_proxy", 0),
)


class Clock:
    """What the machines of one process measure: the seconds of each cycle that ended while ``measuring``."""

    def __init__(self, machines: int) -> None:
        self.go, self.all_connected = asyncio.Event(), asyncio.Event()
        self.measuring = self.over = False
        self.cycles: list[float] = []
        self._missing = machines

    async def connected(self) -> None:
        """Note that one more machine is ready; wait until all may begin."""
        self._missing -= 1
        if self._missing == 0:
            self.all_connected.set()
        await self.go.wait()

    def count(self, seconds: float) -> None:
        """Note one cycle."""
        if self.measuring:
            self.cycles.append(seconds)


def main() -> None:
    """Be many machines for a while."""
    orders = json.loads(sys.stdin.readline() or "null")
    if orders is not None:
        measured = asyncio.run(load(orders))
        print(json.dumps(measured), flush=True)


async def load(orders: dict[str, Any]) -> dict[str, Any]:
    """Connect all machines, let them warm up, measure for a while, and disconnect them."""
    clock = Clock(len(orders["machines"]))
    gate = asyncio.Semaphore(_CONNECTING_AT_A_TIME)
    begin = echo if orders["kind"] == "echo" else work
    async with asyncio.timeout(_CONNECT_SECONDS + orders["warm"] + 4 * orders["seconds"]):
        async with asyncio.TaskGroup() as group:
            for machine in orders["machines"]:
                group.create_task(begin(orders, machine, clock, gate))
            await clock.all_connected.wait()
            print("connected", flush=True)
            if not await asyncio.to_thread(sys.stdin.readline):
                raise EOFError("nobody said go")
            clock.go.set()
            await asyncio.sleep(orders["warm"])
            clock.measuring, since = True, time.perf_counter()
            await asyncio.sleep(orders["seconds"])
            clock.measuring, seconds = False, time.perf_counter() - since
            clock.over = True
    return {"seconds": seconds, "cycles": clock.cycles}


async def echo(orders: dict[str, Any], machine: Any, clock: Clock, gate: asyncio.Semaphore) -> None:
    """Send bytes and wait for them to come back: one message each way."""
    async with grpc.aio.insecure_channel(orders["address"], options=_OPTIONS) as channel:
        payload = secrets.token_bytes(_ECHO_BYTES)
        async with gate:
            call = channel.stream_stream(ECHO)()
            await call.write(payload)
            await call.read()
        await clock.connected()
        while not clock.over:
            since = time.perf_counter()
            await call.write(payload)
            if await call.read() != payload:
                raise RuntimeError("the echo is another")
            clock.count(time.perf_counter() - since)
        await call.done_writing()
        await call.read()


async def work(orders: dict[str, Any], machine: Any, clock: Clock, gate: asyncio.Semaphore) -> None:
    """Report one experiment and ask for the next lease, again and again: what a worker of empty tasks would do."""
    credentials = grpc.ssl_channel_credentials(root_certificates=orders["certificate"].encode())
    key = PrivateKey(raw=bytes.fromhex(machine["key"]))
    async with grpc.aio.secure_channel(orders["address"], credentials, options=_OPTIONS) as channel:
        async with gate:
            call = channel.stream_stream(WORK)(metadata=(("authorization", f"Bearer {machine['session']}"),))
            hello = work_pb2.Hello(
                machine="bench", slots=1, agents=["tuner"], protocol_min=1, protocol_max=1,
                problems=[orders["problem"]], sandbox_grade="B",
            )  # fmt: skip
            await _say(call, hello=hello)
            await _hear(call, "welcome")
            lease, _ = await _lease_and_receipt(call)
        await clock.connected()
        while not clock.over:
            since = time.perf_counter()
            lease, sequence = await _lease_and_receipt(call, _report(lease, key))
            if sequence != 1:
                raise RuntimeError("the receipt is for another report")
            clock.count(time.perf_counter() - since)
        await _say(call, goodbye=work_pb2.Goodbye(reason="the bench is over"))
        while await call.read() is not grpc.aio.EOF:
            pass


async def _lease_and_receipt(call: Any, report: work_pb2.Report | None = None) -> tuple[work_pb2.LeaseName, int]:
    """Say the report and ask for work; return the new lease, and the number of the receipt if there was a report."""
    want = work_pb2.WorkRequest(want=work_pb2.Want(slots=1))
    said = want if report is None else work_pb2.WorkRequest(report=report, more=[want])
    await call.write(said.SerializeToString())
    lease, sequence = None, 0 if report else -1
    while lease is None or not sequence:
        message = await _read(call)
        for told in (message, *message.more):
            match told.WhichOneof("message"):
                case "task":
                    lease = told.task.lease
                case "receipt":
                    sequence = told.receipt.sequence
                case "wait":
                    raise RuntimeError(f"no work: {told}")
    return lease, sequence


def _report(lease: work_pb2.LeaseName, key: PrivateKey) -> work_pb2.Report:
    experiment = work_pb2.ReportedExperiment(
        content_hash=secrets.token_hex(32), score=1.0, reason=experiment_pb2.REASON_NO_IMPROVEMENT, note="a try"
    )
    report = work_pb2.Report(lease=lease, sequence=1, experiments=[experiment], last=True)
    report.signature = sign(key, REPORT_DOMAIN, report.SerializeToString(deterministic=True))
    return report


async def _say(call: Any, **message: Any) -> None:
    await call.write(work_pb2.WorkRequest(**message).SerializeToString())


async def _read(call: Any) -> work_pb2.WorkResponse:
    data = await call.read()
    if data is grpc.aio.EOF:
        raise RuntimeError(f"the stream ended: {await call.code()}, {await call.details()}")
    return work_pb2.WorkResponse.FromString(data)


async def _hear(call: Any, kind: str) -> None:
    message = await _read(call)
    if message.WhichOneof("message") != kind:
        raise RuntimeError(f"not {kind}: {message}")


if __name__ == "__main__":
    main()
