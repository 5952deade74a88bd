"""Who may call what: one table over every method of every service; a method that is absent nobody may call.

Not here: whose problem or experiment it is, which the services check.
"""

from ar_core.records import Role

_W, _P, _V, _O = Role.WORKER, Role.PUBLISHER, Role.VERIFIER, Role.OPERATOR

ANYBODY = frozenset[Role]()
"""No session is needed: joining, opening a session, and the standard services."""
EVERYBODY = frozenset({_W, _P, _V, _O})

PERMISSIONS: dict[str, frozenset[Role]] = {
    "/ar_proto.v1.EnrolmentService/Join": ANYBODY,
    "/ar_proto.v1.EnrolmentService/Challenge": ANYBODY,
    "/ar_proto.v1.EnrolmentService/OpenSession": ANYBODY,
    "/ar_proto.v1.EnrolmentService/Leave": EVERYBODY,
    "/ar_proto.v1.EnrolmentService/WhoAmI": EVERYBODY,
    "/ar_proto.v1.WorkService/Work": frozenset({_W, _O}),
    "/ar_proto.v1.WorkService/FetchBlob": frozenset({_W, _V, _O}),
    "/ar_proto.v1.VerificationService/TakeBatch": frozenset({_V, _O}),
    "/ar_proto.v1.VerificationService/RenewBatch": frozenset({_V, _O}),
    "/ar_proto.v1.VerificationService/FinishBatch": frozenset({_V, _O}),
    "/ar_proto.v1.VerificationService/ReturnBatches": frozenset({_V, _O}),
    "/ar_proto.v1.PublishingService/Publish": frozenset({_P, _O}),
    "/ar_proto.v1.PublishingService/SetState": frozenset({_P, _O}),
    "/ar_proto.v1.PublishingService/Propose": frozenset({_W, _P, _O}),
    "/ar_proto.v1.CatalogueService/ListProblems": EVERYBODY,
    "/ar_proto.v1.CatalogueService/GetProblem": EVERYBODY,
    "/ar_proto.v1.CatalogueService/ListExperiments": EVERYBODY,
    "/ar_proto.v1.CatalogueService/GetExperiment": EVERYBODY,
    "/ar_proto.v1.CatalogueService/GetLeaderboard": EVERYBODY,
    "/ar_proto.v1.CatalogueService/GetFile": EVERYBODY,
    "/ar_proto.v1.CatalogueService/Watch": EVERYBODY,
    "/ar_proto.v1.AdministrationService/CreateToken": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/ListTokens": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/RevokeToken": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/ListIdentities": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/SetBan": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/ResolveHeld": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/Requeue": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/Audit": frozenset({_O}),
    "/ar_proto.v1.AdministrationService/Drain": frozenset({_O}),
    "/grpc.health.v1.Health/Check": ANYBODY,
    "/grpc.health.v1.Health/List": ANYBODY,
    "/grpc.health.v1.Health/Watch": ANYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANYBODY,
}
