"""``ar-coordinator audit``: have best versions measured again beside older ones."""

from typing import TYPE_CHECKING

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.command()
@data_option
@click.argument("problem", required=False, default="")
@json_option
def audit(directory: "DataDirectory", problem: str, as_json: bool) -> None:
    """Measure the best version of PROBLEM, or of every open one, again beside older ones on fresh seeds.

    What turns out to be worse is taken back by a commit that says so. The pool does it by itself after every 20
    accepts.
    """
    from ar_coordinator.admin_session import admin_channel
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        names = list(pool.call(stub.Audit, administration_pb2.AuditRequest(problem=problem)).problems)
    if as_json:
        output.data({"schema": "ar.audit/1", "problems": names})
    elif names:
        output.say(f"Audit begins: {', '.join(names)}. What it takes back is in `git log` and on the page.")
    else:
        output.say("Nothing to audit: no problem is open.")
