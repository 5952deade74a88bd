"""The gRPC server: TLS always, every service behind the one gate, the standard health and reflection services.

Not here: the services.
"""

from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ar_coordinator.address import Address, check_free
from ar_coordinator.certificate import Certificate
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.events import Events
from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.read_model import ReadModel
from ar_coordinator.services.administration import Administration
from ar_coordinator.services.catalogue import Catalogue
from ar_coordinator.services.enrolment import Enrolment
from ar_coordinator.services.interceptor import Gate
from ar_coordinator.services.publishing import Publishing
from ar_coordinator.services.verification import Verification
from ar_coordinator.services.work import Work
from ar_coordinator.store import Store
from ar_core.errors import PoolError
from ar_proto.v1 import (
    administration_pb2,
    administration_pb2_grpc,
    catalogue_pb2,
    catalogue_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    publishing_pb2,
    publishing_pb2_grpc,
    verification_pb2,
    verification_pb2_grpc,
    work_pb2,
    work_pb2_grpc,
)

_OPTIONS = (
    # Else two pools could silently share a port.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 2 * 1024 * 1024),
    ("grpc.max_send_message_length", 8 * 1024 * 1024),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)
_CONCURRENT_CALLS = 20_000


def make_server(
    address: Address, certificate: Certificate, *, store: Store, doorbell: Doorbell, read: ReadModel,
    events: Events, bells: Events, name: str, web_url: str, seed_key: bytes, disk: Path,
) -> tuple[Any, int]:  # fmt: skip
    """Return a server that is bound but not started, and its port; raises ``PoolError`` AR-C602 or AR-C611."""
    check_free(address, "gRPC")
    server = grpc.aio.server(
        interceptors=[Gate(store, disk)], options=list(_OPTIONS), maximum_concurrent_rpcs=_CONCURRENT_CALLS
    )
    try:
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.pem)])
        port = server.add_secure_port(str(address), credentials)
    except RuntimeError:
        port = 0
    if port == 0:  # taken since it was looked at
        raise PoolError("AR-C602", f"{address} (gRPC)")
    pool = PoolInfo(name=name, grpc_address=str(Address(address.shown_host, port)), web_url=web_url)
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(Enrolment(store, doorbell, pool), server)
    publishing_pb2_grpc.add_PublishingServiceServicer_to_server(Publishing(store, doorbell, read, seed_key), server)
    catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(Catalogue(read, events), server)
    work_pb2_grpc.add_WorkServiceServicer_to_server(Work(store, doorbell, events), server)
    verification_pb2_grpc.add_VerificationServiceServicer_to_server(Verification(store, doorbell, bells), server)
    administration_pb2_grpc.add_AdministrationServiceServicer_to_server(
        Administration(store, doorbell, certificate.digest), server
    )
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = [
        module.DESCRIPTOR.services_by_name[service].full_name
        for module, service in (
            (enrolment_pb2, "EnrolmentService"),
            (work_pb2, "WorkService"),
            (verification_pb2, "VerificationService"),
            (publishing_pb2, "PublishingService"),
            (catalogue_pb2, "CatalogueService"),
            (administration_pb2, "AdministrationService"),
            (health_pb2, "Health"),
        )
    ]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    return server, int(port)
