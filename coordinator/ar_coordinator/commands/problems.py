"""``ar-coordinator problems``: the operator's hand on problems."""

from typing import TYPE_CHECKING, Any

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.group(short_help="List, pause and resume problems.")
def problems() -> None:
    """List, pause and resume problems."""


@problems.command(name="list")
@data_option
@json_option
def list_problems(directory: "DataDirectory", as_json: bool) -> None:
    """List all problems, the withdrawn and refused ones too."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.documents import problem_document
    from ar_core.metric import format_number
    from ar_core.wire import problem_from_wire
    from ar_proto.v1 import catalogue_pb2, catalogue_pb2_grpc

    with admin_channel(directory) as pool:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(pool.channel)
        found = pool.call(stub.ListProblems, catalogue_pb2.ListProblemsRequest(all=True)).problems
    cards = [problem_from_wire(message) for message in found]
    if as_json:
        output.data({"schema": "ar.problems/1", "problems": [problem_document(card) for card in cards]})
        return
    rows = [
        [c.name, c.state.value, "-" if c.best is None else format_number(c.best, c.decimals), str(c.accepted),
         str(c.experiments), c.state_reason]
        for c in cards
    ]  # fmt: skip
    output.table(["PROBLEM", "STATE", "BEST", "ACCEPTED", "EXPERIMENTS", ""], rows)


@problems.command()
@data_option
@click.argument("name")
@click.option("--reason", default="paused by the operator", show_default=True)
@json_option
def pause(directory: "DataDirectory", name: str, reason: str, as_json: bool) -> None:
    """Take no more proposals; what is queued waits."""
    document = _set_state(directory, name, "paused", reason)
    if as_json:
        output.data(document)
    else:
        output.say(f"{name} is paused.")


@problems.command()
@data_option
@click.argument("name")
@json_option
def resume(directory: "DataDirectory", name: str, as_json: bool) -> None:
    """Go on with a paused problem."""
    document = _set_state(directory, name, "open", "")
    if as_json:
        output.data(document)
    else:
        output.say(f"{name} is open.")


def _set_state(directory: "DataDirectory", name: str, state: str, reason: str) -> dict[str, Any]:
    from ar_coordinator.admin_session import admin_channel
    from ar_core.documents import problem_document
    from ar_core.lifecycle import ProblemState
    from ar_core.wire import problem_from_wire, problem_state_to_wire
    from ar_proto.v1 import publishing_pb2, publishing_pb2_grpc

    request = publishing_pb2.SetStateRequest(
        problem=name, state=problem_state_to_wire(ProblemState(state)), reason=reason
    )
    with admin_channel(directory) as pool:
        answer = pool.call(publishing_pb2_grpc.PublishingServiceStub(pool.channel).SetState, request)
    return problem_document(problem_from_wire(answer.problem))
