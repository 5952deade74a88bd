"""Tokens, identities and sessions in Redis; secrets are stored as hashes only.

Not here: certificates, and what a role may do.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection, now_ms
from ar_coordinator.store.fields import from_fields, to_fields
from ar_core.candidate import sha256
from ar_core.records import Identity, TokenRecord
from ar_core.tokens import secret_hash

SESSION_SECONDS = 3600
CHALLENGE_SECONDS = 60

_REDEEM = """
-- 1 hash 2 public key 3 now ms 4 wanted role 5 wanted name 6 identity id 7 machine 8 joined 9… names to choose from
local token = 'ar:token:' .. ARGV[1]
local t = redis.call('HMGET', token, 'role', 'contributor', 'uses', 'used', 'expires_ms', 'revoked')
if not t[1] or t[6] == '1' then return {'unknown', ''} end
local role = t[1]
local wrong = ARGV[4] ~= '' and ARGV[4] ~= role and role ~= 'operator'
local before = redis.call('HGET', 'ar:joined:' .. ARGV[1], ARGV[2])
if before and redis.call('EXISTS', 'ar:identity:' .. before) == 1 then
  if wrong then return {'role', role} end
  return {'joined', before}
end
if tonumber(t[5]) <= tonumber(ARGV[3]) then return {'expired', ''} end
if tonumber(t[4]) >= tonumber(t[3]) then return {'used', ''} end
if wrong then return {'role', role} end
local name = t[2]
local function owner(n) return redis.call('GET', 'ar:name:' .. string.lower(n)) end
if name == '' then
  if ARGV[5] ~= '' then
    name = ARGV[5]
    local has = owner(name)
    if has and has ~= ARGV[2] then
      for i = 9, #ARGV do if not owner(ARGV[i]) then return {'taken', ARGV[i]} end end
      return {'taken', ''}
    end
  else
    for i = 9, #ARGV do if name == '' and not owner(ARGV[i]) then name = ARGV[i] end end
    if name == '' then name = ARGV[7] end
  end
end
redis.call('SETNX', 'ar:name:' .. string.lower(name), ARGV[2])
redis.call('HSET', 'ar:identity:' .. ARGV[6], 'id', ARGV[6], 'role', role, 'contributor', name,
  'machine', ARGV[7], 'joined', ARGV[8], 'public_key', ARGV[2])
redis.call('ZADD', 'ar:identities', ARGV[3], ARGV[6])
redis.call('HSET', 'ar:joined:' .. ARGV[1], ARGV[2], ARGV[6])
redis.call('HINCRBY', token, 'used', 1)
redis.call('SADD', 'ar:registry-dirty', 'identity:' .. ARGV[6], 'token:' .. ARGV[1])
return {'joined', ARGV[6]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """What a token became: ``joined`` and the identity, or why not and a detail."""

    answer: str
    detail: str


class Identities:
    """Who may talk to the pool."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._redeem = self._redis.register_script(_REDEEM)

    def add_token(self, secret: str, token: TokenRecord) -> None:
        """Store a new token by the hash of its secret."""
        hashed = secret_hash(secret)
        fields = {**to_fields(token), "expires_ms": str(int(token.expires.timestamp() * 1000))}
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(keys.token(hashed), mapping=fields)
        pipeline.hset(keys.TOKENS + ":hash", token.id, hashed)
        pipeline.zadd(keys.TOKENS, {token.id: now_ms()})
        pipeline.sadd(keys.REGISTRY_DIRTY, f"token:{hashed}")
        pipeline.execute()

    def tokens(self) -> list[TokenRecord]:
        """Return all tokens, newest first."""
        ids = cast("list[str]", self._redis.zrevrange(keys.TOKENS, 0, -1))
        return [token for token_id in ids if (token := self.token(token_id)) is not None]

    def token(self, token_id: str) -> TokenRecord | None:
        """Return one token by its identifier."""
        hashed = self._redis.hget(keys.TOKENS + ":hash", token_id)
        fields = self._redis.hgetall(keys.token(hashed)) if hashed else {}
        return from_fields(TokenRecord, fields) if fields else None

    def revoke_token(self, token_id: str) -> TokenRecord | None:
        """Make a token worthless; ``None`` when there is none of this identifier."""
        hashed = self._redis.hget(keys.TOKENS + ":hash", token_id)
        if not hashed:
            return None
        self._redis.hset(keys.token(hashed), "revoked", "1")
        self._redis.sadd(keys.REGISTRY_DIRTY, f"token:{hashed}")
        return self.token(token_id)

    def redeem(
        self, secret: str, public_key: bytes, *, wanted_role: str, wanted_name: str, names: Sequence[str]
    ) -> Redeemed:
        """Turn a token into an identity, once for each (token, public key).

        ``wanted_role`` is a role, or empty for whatever the token is for; ``names`` are free suggestions.
        """
        identity_id, machine = f"i-{secrets.token_hex(8)}", f"m-{secrets.token_hex(3)}"
        arguments = [secret_hash(secret), public_key.hex(), now_ms(), wanted_role, wanted_name, identity_id,
                     machine, datetime.now(UTC).isoformat(), *names]  # fmt: skip
        answer, detail = cast("list[str]", self._redeem(args=arguments))
        return Redeemed(answer=answer, detail=detail)

    def get(self, identity_id: str) -> Identity | None:
        """Return one identity."""
        fields = self._redis.hgetall(keys.identity(identity_id))
        return from_fields(Identity, fields) if fields else None

    def all(self) -> list[Identity]:
        """Return the identities, newest first."""
        ids = cast("list[str]", self._redis.zrevrange(keys.IDENTITIES, 0, -1))
        return [identity for i in ids if (identity := self.get(i)) is not None]

    def remove(self, identity: Identity) -> None:
        """Delete an identity; the name stays with its key, so that nobody else can take it."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(keys.identity(identity.id))
        pipeline.zrem(keys.IDENTITIES, identity.id)
        pipeline.sadd(keys.REGISTRY_DIRTY, f"identity:{identity.id}")
        pipeline.execute()

    def set_ban(self, identity: Identity, reason: str | None) -> Identity:
        """Ban an identity with a reason, or lift the ban."""
        if reason is None:
            self._redis.hdel(keys.identity(identity.id), "banned")
        else:
            self._redis.hset(keys.identity(identity.id), "banned", reason)
        self._redis.sadd(keys.REGISTRY_DIRTY, f"identity:{identity.id}")
        return replace(identity, banned=reason)

    def make_challenge(self, identity_id: str) -> bytes:
        """Return a nonce that is good once and for a minute."""
        nonce = secrets.token_bytes(32)
        self._redis.set(keys.challenge(nonce.hex()), identity_id, ex=CHALLENGE_SECONDS)
        return nonce

    def take_challenge(self, nonce: bytes) -> str | None:
        """Return whose nonce this is and forget it."""
        return cast("str | None", self._redis.getdel(keys.challenge(nonce.hex())))

    def open_session(self, identity_id: str, seconds: int = SESSION_SECONDS) -> str:
        """Return a new session token."""
        token = secrets.token_urlsafe(32)
        self._redis.set(keys.session(sha256(token.encode())), identity_id, ex=seconds)
        return token

    def close_session(self, token: str) -> None:
        """Make a session token worthless."""
        self._redis.delete(keys.session(sha256(token.encode())))

    def session(self, token: str) -> Identity | None:
        """Return the identity of a session token that is still good."""
        identity_id = self._redis.get(keys.session(sha256(token.encode())))
        return self.get(identity_id) if identity_id else None
