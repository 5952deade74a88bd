"""The store of a pool that runs, for the processes beside it: verifiers and the referee.

Not here: starting a Redis (``embedded_redis``), and reaching a pool as its operator (``admin_session``).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import redis

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store, open_store
from ar_core.errors import PoolError


def open_running_store(directory: DataDirectory, redis_url: str) -> Store:
    """Return the store of the pool in ``directory``; raises ``PoolError`` where there is none, or none runs.

    ``redis_url`` is empty for the embedded server, which runs only while the pool does.
    """
    directory.read_version()
    if not redis_url and not directory.is_locked():
        raise PoolError("AR-C604", str(directory.root))
    url = redis_url or EmbeddedRedis(directory.redis).url
    with answering_redis(url):
        return open_store(url, directory.blobs)


@contextmanager
def answering_redis(url: str) -> Iterator["redis.Redis"]:
    """Give a client of a Redis that answers; raises ``PoolError`` AR-C609 where none does."""
    try:
        with closing(redis.Redis.from_url(url)) as client:
            client.ping()
            yield client
    except ValueError as error:
        raise PoolError("AR-C609", str(error), hint="write it like redis://HOST:6379 or unix:///PATH") from None
    except redis.RedisError as error:
        raise PoolError("AR-C609", str(error)) from None
