"""Deleting a machine's identity, at the pool first and then here.

Not here: what the pool keeps, which is the name in past commits.
"""

import contextlib
import shutil

import grpc

from ar_client.calls import Calls
from ar_client.channel import open_channel
from ar_client.failure import translate
from ar_client.identity import Login
from ar_client.session import Session
from ar_core.errors import PoolError
from ar_core.signing import KeyFormatError, private_key_from_text
from ar_proto.v1 import enrolment_pb2, enrolment_pb2_grpc
from ar_worker.place import Place, not_joined


def leave_pool(place: Place) -> Login:
    """Delete the identity and return what it was; raises ``PoolError`` when the pool could not be told.

    A pool that does not know the identity any more is as good as one that has just deleted it.
    """
    import time

    with place.alone():
        try:
            login = place.home.login()
            key = private_key_from_text(place.home.key_text(login.digest) or "")
        except PoolError as error:
            raise not_joined(error) from None
        except KeyFormatError as error:
            raise PoolError("AR-A106", f"the key below {place.folder}: {error}") from None
        channel = open_channel(login.address, login.certificate)
        try:
            session = Session(channel, identity=login.identity, key=key, home=place.home, clock=time.time)
            calls = Calls(session, translate)
            calls.unary(enrolment_pb2_grpc.EnrolmentServiceStub(channel).Leave, enrolment_pb2.LeaveRequest())
        except PoolError as error:
            if error.code != "AR-I201":
                raise
        except grpc.RpcError as error:
            raise translate(error) from None
        finally:
            channel.close()
        for name in ("keys", "reports", "consents"):
            shutil.rmtree(place.folder / name, ignore_errors=True)
        for name in ("pool.json", "session.json"):
            with contextlib.suppress(OSError):
                (place.folder / name).unlink()
    return login
