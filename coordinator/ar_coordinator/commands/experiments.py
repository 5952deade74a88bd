"""``ar-coordinator experiments``: look at experiments, ring for them again, decide about held ones."""

from typing import TYPE_CHECKING

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory

_STATES = ["recorded", "queued", "verifying", "accepted", "rejected", "held", "withdrawn", "reverted"]


@click.group(short_help="List, show, requeue and release experiments.")
def experiments() -> None:
    """List, show, requeue and release experiments."""


@experiments.command(name="list")
@data_option
@click.argument("problem")
@click.option("--status", type=click.Choice(_STATES))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
def list_experiments(directory: "DataDirectory", problem: str, status: str | None, limit: int, as_json: bool) -> None:
    """List a problem's experiments, newest first."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.documents import experiment_document
    from ar_core.lifecycle import ExperimentState
    from ar_core.wire import experiment_from_wire, experiment_state_to_wire
    from ar_proto.v1 import catalogue_pb2, catalogue_pb2_grpc

    state = experiment_state_to_wire(ExperimentState(status) if status else None)
    request = catalogue_pb2.ListExperimentsRequest(problem=problem, state=state, limit=limit)
    with admin_channel(directory) as pool:
        found = pool.call(catalogue_pb2_grpc.CatalogueServiceStub(pool.channel).ListExperiments, request)
    records = [experiment_from_wire(message) for message in found.experiments]
    if as_json:
        for x in records:
            output.data(experiment_document(x))
        return
    rows = [[x.id, x.state.value, x.reason.value if x.reason else "", x.contributor, x.explanation] for x in records]
    output.table(["EXPERIMENT", "STATUS", "REASON", "CONTRIBUTOR", ""], rows)


@experiments.command()
@data_option
@click.argument("experiment")
@json_option
def show(directory: "DataDirectory", experiment: str, as_json: bool) -> None:  # noqa: ARG001 - it is JSON anyway
    """Print one experiment as JSON."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.documents import experiment_document
    from ar_core.wire import experiment_from_wire
    from ar_proto.v1 import catalogue_pb2, catalogue_pb2_grpc

    with admin_channel(directory) as pool:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(pool.channel)
        message = pool.call(stub.GetExperiment, catalogue_pb2.GetExperimentRequest(id=experiment)).experiment
    output.data(experiment_document(experiment_from_wire(message)))


@experiments.command()
@data_option
@click.argument("experiment", required=False, default="")
@json_option
def requeue(directory: "DataDirectory", experiment: str, as_json: bool) -> None:
    """Ring again for one experiment under verification, or for all that wait."""
    from ar_coordinator.admin_session import admin_channel
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        count = pool.call(stub.Requeue, administration_pb2.RequeueRequest(id=experiment)).count
    if as_json:
        output.data({"schema": "ar.requeue/1", "count": count})
    else:
        output.say(f"Rang for {count} experiment(s).")


@experiments.command()
@data_option
@click.argument("experiment")
@click.option("--refuse", is_flag=True, help="Reject it for good.")
@click.option("--reason", default="", help="Why, for everybody to read.")
@json_option
def release(directory: "DataDirectory", experiment: str, refuse: bool, reason: str, as_json: bool) -> None:
    """Let a held experiment be verified once more and accepted if it is real; or --refuse it."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.documents import experiment_document
    from ar_core.wire import experiment_from_wire
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    request = administration_pb2.ResolveHeldRequest(id=experiment, release=not refuse, reason=reason)
    with admin_channel(directory) as pool:
        answer = pool.call(administration_pb2_grpc.AdministrationServiceStub(pool.channel).ResolveHeld, request)
    if as_json:
        output.data(experiment_document(experiment_from_wire(answer.experiment)))
    else:
        output.say(f"{experiment} is {'refused' if refuse else 'queued again'}.")
