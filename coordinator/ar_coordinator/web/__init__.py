"""The pages, the HTTP API and read-only git: what anybody may see of the pool, without signing in."""

from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.web.app import create_app

__all__ = ["PoolInfo", "create_app"]
