"""A verifier on another machine: a client of its pool, which sees nothing of the pool's data directory or Redis.

The only part of the coordinator that uses ``ar_client``: its channel, which pins the certificate, and its identity.
"""
