"""The Lua of leases: each change of state is one script, atomic, idempotent and fenced.

Not here: their arguments in Python (``leases``). They keep to the Redis 6.2 command set and take keys from ARGV.

Keys: ``ar:lease:ID`` (hash) and ``:receipts`` (hash of sequence to receipt), ``ar:leases`` (sorted set of open leases
by deadline), ``ar:leases-of:IDENTITY`` and ``ar:leases-on:PROBLEM`` (sets of open leases), ``ar:in-flight:PROBLEM``
and ``ar:children:PROBLEM`` (hashes of parent to a count), ``ar:claims:IDENTITY`` (sorted set of claims without a
verdict) and ``ar:held:IDENTITY`` (of those that wait for a person), ``ar:told:IDENTITY`` (sorted set of verdicts that
may not have arrived, by when they were told), ``ar:trust:IDENTITY`` (hash), ``ar:hour:IDENTITY`` (how much it had
recorded in this hour), ``ar:ended:IDENTITY`` (list of ended leases, the newest last), ``ar:blob-of:SHA256`` (the
claim that alone needs these bytes), ``ar:attempts:PROBLEM:PARENT`` and ``ar:tried:PROBLEM:REVISION`` (lists, the
newest first), ``ar:public:PROBLEM:REVISION`` and ``ar:improved:PROBLEM`` (sets of blobs a holder may read).
"""

from ar_coordinator.store.experiments import MOVE

KEPT_SECONDS = 86_400
"""How long an ended lease and its receipts are kept, so that a late or repeated report is answered."""
RECORDED_A_LEASE = 100
CLAIMS_A_LEASE = 100
REPORTS_A_LEASE = 600
RECORDED_AN_HOUR = 5_000
"""Experiments one by one, for each lease that an identity's accepted claims allow; beyond half of it only claims."""
ENDED_LEASES = 1_000
"""Ended leases of an identity that are kept; a machine that is away for long gets no new ones meanwhile."""
KEPT_RECORDS = 10_000
"""Recorded experiments of a problem that stay in Redis, and withdrawn ones, once the ledger in git has them."""
TOLD = 300
"""Verdicts of an identity that are kept until it is sure that they arrived."""
WAITING_CLAIMS = 4
"""Claims without a verdict above which a worker gets no further work."""
FIRST_SLOTS = 2
MOST_SLOTS = 64
COOL_DOWN_MS = 10_000
LONGEST_COOL_DOWN_MS = 600_000
NOISY_FAILURES = 5
"""Claims that do not hold in a row before a worker cools down, where a score is a sample; elsewhere one does."""
ATTEMPTS = 10
TRIED = 500
_WEEK = 7 * 86_400

SETTLE = f"""
local function settle(id, state)
  local key = 'ar:lease:' .. id
  local l = redis.call('HMGET', key, 'state', 'identity', 'problem', 'parent', 'experiments')
  if l[1] ~= 'granted' then return false end
  redis.call('HSET', key, 'state', state)
  redis.call('EXPIRE', key, {KEPT_SECONDS})
  redis.call('EXPIRE', key .. ':receipts', {KEPT_SECONDS})
  redis.call('ZREM', 'ar:leases', id)
  redis.call('SREM', 'ar:leases-of:' .. l[2], id)
  redis.call('SREM', 'ar:leases-on:' .. l[3], id)
  local ended = 'ar:ended:' .. l[2]
  redis.call('RPUSH', ended, id)
  redis.call('EXPIRE', ended, {KEPT_SECONDS})
  if redis.call('LLEN', ended) > {ENDED_LEASES} then
    local oldest = 'ar:lease:' .. redis.call('LPOP', ended)
    redis.call('DEL', oldest, oldest .. ':receipts')
  end
  if redis.call('HINCRBY', 'ar:in-flight:' .. l[3], l[4], -1) <= 0 then
    redis.call('HDEL', 'ar:in-flight:' .. l[3], l[4])
  end
  if tonumber(l[5]) > 0 then redis.call('HINCRBY', 'ar:children:' .. l[3], l[4], 1) end
  return true
end
local function member(identity)
  local who = redis.call('HMGET', 'ar:identity:' .. identity, 'id', 'banned')
  if not who[1] then return 'gone' end
  if who[2] then return 'banned' end
  return ''
end
"""
_STANDING = f"""
local function unverified(identity)
  local found = {{}}
  for _, id in ipairs(redis.call('ZRANGE', 'ar:claims:' .. identity, 0, -1)) do
    local state = redis.call('HGET', 'ar:experiment:' .. id, 'state')
    if state == 'queued' or state == 'verifying' then found[#found + 1] = id end
  end
  return found
end
local function earned(held)
  return math.min({MOST_SLOTS}, {FIRST_SLOTS} + 2 * tonumber(held or 0))
end
local function this_hour(identity)
  local most = {RECORDED_AN_HOUR} * earned(redis.call('HGET', 'ar:trust:' .. identity, 'held'))
  return tonumber(redis.call('GET', 'ar:hour:' .. identity) or 0), most
end
local function allowed(identity, slots)
  local t = redis.call('HMGET', 'ar:trust:' .. identity, 'held', 'failed_in_a_row')
  local most = earned(t[1])
  most = math.floor(most / 2 ^ math.floor(tonumber(t[2] or 0) / {NOISY_FAILURES}))
  most = math.max(1, math.min(most, slots))
  -- Where all slots are used, one more, so that the next slot that ends its lease goes on without a round trip.
  return most == slots and slots + 1 or most
end
-- The bytes of a claim that was withdrawn unmeasured, unless they are somebody else's as well.
local function drop_bytes(x)
  local found = redis.call('HMGET', 'ar:experiment:' .. x, 'blob', 'attempt')
  if not found[1] or found[2] ~= '0' then return end
  redis.call('HDEL', 'ar:experiment:' .. x, 'blob')
  if redis.call('GET', 'ar:blob-of:' .. found[1]) == x then
    redis.call('DEL', 'ar:blob:' .. found[1], 'ar:blob-of:' .. found[1])
  end
end
"""
GRANT = (
    SETTLE
    + _STANDING
    + f"""
-- 1 lease 2 identity 3 problem 4 revision 5 now 6 deadline 7 latest deadline 8 slots donated 9 parent, then fields
local id, identity, problem = ARGV[1], ARGV[2], ARGV[3]
local who = member(identity)
if who ~= '' then return {{who, 0, 0}} end
if redis.call('HGET', 'ar:meta', 'draining') == '1' then return {{'draining', 0, 0}} end
local p = redis.call('HMGET', 'ar:problem:' .. problem, 'state', 'revision')
if p[1] ~= 'open' or p[2] ~= ARGV[4] then return {{'closed', 0, 0}} end
local cool = tonumber(redis.call('HGET', 'ar:trust:' .. identity, 'cool_until') or 0) - tonumber(ARGV[5])
if cool > 0 then return {{'cool_down', 0, cool}} end
if redis.call('SCARD', 'ar:leases-of:' .. identity) >= allowed(identity, tonumber(ARGV[8])) then
  return {{'quota', 0, 0}}
end
if #unverified(identity) >= {WAITING_CLAIMS} then return {{'quota', 0, 0}} end
local used, most = this_hour(identity)
if used >= most then return {{'quota', 0, math.max(1, redis.call('PTTL', 'ar:hour:' .. identity))}} end
local key = 'ar:lease:' .. id
if redis.call('EXISTS', key) == 1 then return {{'closed', 0, 0}} end
local fencing = redis.call('INCR', 'ar:lease-fencing')
redis.call('HSET', key, 'state', 'granted', 'identity', identity, 'problem', problem, 'revision', ARGV[4],
  'fencing', fencing, 'granted', ARGV[5], 'latest', ARGV[7], 'parent', ARGV[9],
  'recorded', 0, 'claims', 0, 'experiments', 0, 'milliseconds', 0, unpack(ARGV, 10))
redis.call('ZADD', 'ar:leases', ARGV[6], id)
redis.call('SADD', 'ar:leases-of:' .. identity, id)
redis.call('SADD', 'ar:leases-on:' .. problem, id)
redis.call('HINCRBY', 'ar:in-flight:' .. problem, ARGV[9], 1)
local attempts = redis.call('LRANGE', 'ar:attempts:' .. problem .. ':' .. ARGV[9], 0, -1)
-- One text, since each of them is one line: there is less to read.
return {{'granted', fencing, 0, table.concat(attempts, '\\n')}}
"""
)
RENEW = (
    SETTLE
    + """
-- 1 identity 2 now 3 deadline, then leases with their fencing numbers
local who = member(ARGV[1])
local answers = {}
for i = 4, #ARGV, 2 do
  local l = redis.call('HMGET', 'ar:lease:' .. ARGV[i], 'identity', 'state', 'fencing', 'latest')
  local good = who == '' and l[1] == ARGV[1] and l[2] == 'granted' and l[3] == ARGV[i + 1]
  if good and tonumber(l[4]) <= tonumber(ARGV[2]) then
    settle(ARGV[i], 'expired')
    good = false
  end
  if good then
    redis.call('ZADD', 'ar:leases', math.min(tonumber(ARGV[3]), tonumber(l[4])), ARGV[i])
  end
  answers[#answers + 1] = good and 1 or 0
end
return {who, answers}
"""
)
RELEASE = (
    SETTLE
    + """
-- 1 identity 2 lease 3 fencing
local l = redis.call('HMGET', 'ar:lease:' .. ARGV[2], 'identity', 'fencing')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[3] then return 0 end
return settle(ARGV[2], 'released') and 1 or 0
"""
)
RELEASE_OTHERS = (
    SETTLE
    + """
-- 1 identity, then the leases to keep
local keep, released = {}, {}
for i = 2, #ARGV do keep[ARGV[i]] = true end
for _, id in ipairs(redis.call('SMEMBERS', 'ar:leases-of:' .. ARGV[1])) do
  if not keep[id] and settle(id, 'released') then released[#released + 1] = id end
end
return released
"""
)
EXPIRE = (
    SETTLE
    + """
-- 1 now
local expired = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'ar:leases', '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  if settle(id, 'expired') then expired[#expired + 1] = id else redis.call('ZREM', 'ar:leases', id) end
end
return expired
"""
)
CANCEL = (
    SETTLE
    + """
-- 1 problem: ends the leases that it has no work for any more, all of them unless it is open
local p = redis.call('HMGET', 'ar:problem:' .. ARGV[1], 'state', 'revision')
local cancelled = {}
for _, id in ipairs(redis.call('SMEMBERS', 'ar:leases-on:' .. ARGV[1])) do
  if p[1] ~= 'open' or redis.call('HGET', 'ar:lease:' .. id, 'revision') ~= p[2] then
    if settle(id, 'cancelled') then cancelled[#cancelled + 1] = id end
  end
end
return cancelled
"""
)
STANDING = (
    SETTLE
    + _STANDING
    + f"""
-- 1 identity 2 now 3 slots: settles what its claims with a verdict say of it; answers those claims too
local claims, trust, held = 'ar:claims:' .. ARGV[1], 'ar:trust:' .. ARGV[1], 'ar:held:' .. ARGV[1]
local told = 'ar:told:' .. ARGV[1]
-- Claims that waited for a person, and do no more, are claims again.
for _, id in ipairs(redis.call('ZRANGE', held, 0, -1)) do
  if redis.call('HGET', 'ar:experiment:' .. id, 'state') ~= 'held' then
    redis.call('ZREM', held, id)
    redis.call('ZADD', claims, ARGV[2], id)
    redis.call('EXPIRE', claims, {_WEEK})
  end
end
local settled = {{}}
local function held_up(x, noise)
  local claimed, verified = tonumber(x[3]), tonumber(x[4])
  if claimed and verified and
    math.abs(claimed - verified) <= 1e-6 * math.max(math.abs(claimed), math.abs(verified)) then return true end
  -- A noisy claim that was beaten because another version came first says nothing either way.
  return noise ~= 'none' and x[5] ~= x[6]
end
for _, id in ipairs(redis.call('ZRANGE', claims, 0, -1)) do
  local x = redis.call('HMGET', 'ar:experiment:' .. id, 'state', 'reason', 'claimed', 'verified', 'parent',
    'incumbent_commit', 'problem', 'note')
  if x[1] ~= 'queued' and x[1] ~= 'verifying' and #settled < 100 then
    redis.call('ZREM', claims, id)
    if x[1] then
      settled[#settled + 1] = id
      redis.call('ZADD', told, ARGV[2], id)
    end
    if x[1] == 'withdrawn' then drop_bytes(id) end
    if x[1] == 'held' then
      redis.call('ZADD', held, ARGV[2], id)
    elseif x[1] == 'accepted' then
      redis.call('HINCRBY', trust, 'held', 1)
      redis.call('HSET', trust, 'failed_in_a_row', 0, 'cool_until', 0)
    elseif x[1] == 'rejected' then
      local noise = redis.call('HGET', 'ar:problem:' .. x[7], 'noise') or 'none'
      -- What a machine cannot see it cannot claim: beside hidden files an honest number differs, as with noise.
      if redis.call('HGET', 'ar:problem:' .. x[7], 'has_hidden') == '1' then noise = 'hidden' end
      if not held_up(x, noise) then
        local n = redis.call('HINCRBY', trust, 'failed_in_a_row', 1)
        local first = noise == 'none' and 1 or {NOISY_FAILURES}
        if n >= first then
          local cool = math.min({LONGEST_COOL_DOWN_MS}, {COOL_DOWN_MS} * 2 ^ math.min(n - first, 20))
          redis.call('HSET', trust, 'cool_until', string.format('%d', tonumber(ARGV[2]) + cool))
        end
      end
      local attempts = 'ar:attempts:' .. x[7] .. ':' .. (x[5] or '')
      redis.call('LPUSH', attempts, 'rejected (' .. (x[2] or '') .. '): ' .. (x[8] or ''))
      redis.call('LTRIM', attempts, 0, {ATTEMPTS - 1})
      redis.call('EXPIRE', attempts, {_WEEK})
    end
  end
end
if #settled > 0 then
  redis.call('ZREMRANGEBYRANK', told, 0, -{TOLD} - 1)
  redis.call('EXPIRE', told, {_WEEK})
end
local cool = math.max(0, tonumber(redis.call('HGET', trust, 'cool_until') or 0) - tonumber(ARGV[2]))
return {{member(ARGV[1]), unverified(ARGV[1]), cool, allowed(ARGV[1], tonumber(ARGV[3])), settled,
  redis.call('ZRANGE', held, 0, -1)}}
"""
)
TOLD_BEFORE = "return redis.call('ZRANGE', 'ar:told:' .. ARGV[1], 0, -1, 'WITHSCORES')"
"""1 identity: the verdicts that may not have arrived, and when each was told."""
HEARD = """
-- 1 identity, then verdicts that have arrived and when they were told; one that was told again since stays
local told = 'ar:told:' .. ARGV[1]
for i = 2, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', told, ARGV[i])) == tonumber(ARGV[i + 1]) then redis.call('ZREM', told, ARGV[i]) end
end
"""
REPORT = (
    MOVE
    + SETTLE
    + _STANDING
    + f"""
-- 1 lease 2 fencing 3 sequence 4 identity 5 now 6 when 7 last 8 counted 9 milliseconds 10 how many, then for each:
-- id, state, reason, explanation, score, note, content hash, blob, bytes, line
local id, key, identity, when = ARGV[1], 'ar:lease:' .. ARGV[1], ARGV[4], ARGV[6]
local l = redis.call('HMGET', key, 'identity', 'fencing', 'state', 'problem', 'revision', 'parent', 'contributor',
  'machine', 'agent', 'recorded', 'claims', 'granted', 'latest', 'milliseconds', 'slots', 'experiments', 'grade')
if l[1] ~= identity then return {{'unknown'}} end
if l[2] ~= ARGV[2] then return {{'fenced'}} end
local again = redis.call('HGET', key .. ':receipts', ARGV[3])
if again then return {{'receipt', again}} end
local who = member(identity)
if who ~= '' then return {{who}} end
if l[3] == 'finished' or redis.call('HLEN', key .. ':receipts') >= {REPORTS_A_LEASE} then return {{'settled'}} end
local problem, revision, parent, contributor = l[4], l[5], l[6], l[7]
local state = redis.call('HGET', 'ar:problem:' .. problem, 'state')
if state ~= 'open' and state ~= 'paused' then return {{'closed'}} end
local recorded, claims, counted = tonumber(l[10]), tonumber(l[11]), tonumber(ARGV[8])
local hashes = 'ar:hashes:' .. problem .. ':' .. revision
local tried, attempts = 'ar:tried:' .. problem .. ':' .. revision, 'ar:attempts:' .. problem .. ':' .. parent
local ids, queued, announced = {{}}, {{}}, ''
local used, most = this_hour(identity)
local used_before = used
local bytes = {{}}

local function add(x, state, first, ...)
  local xkey = 'ar:experiment:' .. x
  local number = redis.call('INCR', 'ar:experiment-number:' .. problem)
  redis.call('HSET', xkey, 'id', x, 'problem', problem, 'revision', revision, 'state', state, 'number', number,
    'attempt', 0, 'contributor', contributor, 'worker', l[8], 'agent', l[9], 'parent', parent, 'lease', id,
    'note', ARGV[first + 5], 'content_hash', ARGV[first + 6], 'created', when, 'updated', when,
    'worker_grade', l[17] or '', ...)
  if ARGV[first + 4] ~= '' then redis.call('HSET', xkey, 'claimed', ARGV[first + 4]) end
  redis.call('ZADD', 'ar:experiments:' .. problem, number, x)
  return xkey, number
end
local function withdraw(x, why)
  local xkey = 'ar:experiment:' .. x
  if redis.call('HGET', xkey, 'state') ~= 'queued' then return end
  redis.call('HSET', xkey, 'reason', 'withdrawn', 'explanation', why, 'updated', when)
  -- It was never measured: the same file may come again.
  redis.call('HDEL', hashes, redis.call('HGET', xkey, 'content_hash'))
  bytes[x] = nil
  drop_bytes(x)
  move(x, 'queued', '', 'withdrawn', '1', 1, 0)
end
local function claim(x, first)
  redis.call('ZADD', 'ar:claims:' .. identity, ARGV[5], x)
  redis.call('EXPIRE', 'ar:claims:' .. identity, {_WEEK})
  local before = redis.call('HGET', key, 'waiting')
  if before then withdraw(before, 'It was replaced by a better one of the same lease.') end
  local crowded = #unverified(identity) > {WAITING_CLAIMS} + tonumber(l[15] or 0)
  redis.call('HSET', hashes, ARGV[first + 6], x)
  local xkey, number = add(x, 'queued', first)
  redis.call('HSET', xkey, 'blob', ARGV[first + 7])
  bytes[x] = first
  place(problem, x, 'queued', number, '0')
  if crowded then withdraw(x, 'Too many claims of this machine wait for their verdict.') return end
  redis.call('HSET', key, 'waiting', x)
  queued[#queued + 1] = x
end
local function record(x, first, state, reason, explanation)
  local more = reason ~= '' and {{'reason', reason}} or {{}}
  local xkey, number = add(x, state, first, unpack(more))
  if explanation ~= '' then redis.call('HSET', xkey, 'explanation', explanation) end
  redis.call('ZADD', 'ar:experiments:' .. problem .. ':' .. state, number, x)
  if ARGV[first + 4] ~= '' then
    redis.call('RPUSH', 'ar:points:' .. problem, number .. ':' .. ARGV[first + 4])
    redis.call('LTRIM', 'ar:points:' .. problem, -20000, -1)
  end
  redis.call('ZADD', 'ar:ledger:' .. problem, redis.call('INCR', 'ar:ledger-number:' .. problem), x .. ':' .. state)
  announced = x
end
-- The ledger in git keeps all of them; those that it does not have yet are kept here as well.
local function forget(state, at_most)
  local all = 'ar:experiments:' .. problem
  local over = math.min(at_most, redis.call('ZCARD', all .. ':' .. state) - {KEPT_RECORDS})
  if over <= 0 then return end
  for _, x in ipairs(redis.call('ZRANGE', all .. ':' .. state, 0, over - 1)) do
    if redis.call('ZSCORE', 'ar:ledger:' .. problem, x .. ':' .. state) then return end
    redis.call('ZREM', all, x)
    redis.call('ZREM', all .. ':' .. state, x)
    redis.call('DEL', 'ar:experiment:' .. x)
  end
end

local n = tonumber(ARGV[10])
for i = 0, n - 1 do
  local first = 11 + 10 * i
  local x, state, hash = ARGV[first], ARGV[first + 1], ARGV[first + 6]
  local is_claim = state ~= 'recorded'
  local full = is_claim and (claims >= {CLAIMS_A_LEASE} or used >= most)
    or not is_claim and (recorded >= {RECORDED_A_LEASE} or used >= most / 2)
  if full then
    counted = counted + 1
    ids[#ids + 1] = '-'
  else
    if is_claim then claims = claims + 1 else recorded = recorded + 1 end
    used = used + 1
    local seen = hash ~= '' and redis.call('HGET', hashes, hash)
    if seen then
      record(x, first, 'recorded', 'duplicate', 'The same file as ' .. seen .. '.')
    elseif state == 'queued' then
      claim(x, first)
    else
      record(x, first, state, ARGV[first + 2], ARGV[first + 3])
    end
    if is_claim and (seen or state ~= 'queued') then redis.call('ZADD', 'ar:claims:' .. identity, ARGV[5], x) end
    ids[#ids + 1] = x
    if ARGV[first + 9] ~= '' then redis.call('LPUSH', attempts, ARGV[first + 9]) end
  end
  if hash ~= '' then redis.call('LPUSH', tried, hash) end
end
-- Here and not before: whatever is refused or replaced leaves no bytes behind.
for x, first in pairs(bytes) do
  local blob = ARGV[first + 7]
  if redis.call('SETNX', 'ar:blob:' .. blob, ARGV[first + 8]) == 1 then
    redis.call('SET', 'ar:blob-of:' .. blob, x, 'EX', {KEPT_SECONDS})
  else
    redis.call('DEL', 'ar:blob-of:' .. blob)
  end
end
if used > used_before then
  local hour = 'ar:hour:' .. identity
  if redis.call('INCRBY', hour, used - used_before) == used - used_before then redis.call('EXPIRE', hour, 3600) end
  forget('recorded', 2 * n)
  forget('withdrawn', 2 * n)
end
redis.call('LTRIM', attempts, 0, {ATTEMPTS - 1})
redis.call('EXPIRE', attempts, {_WEEK})
redis.call('LTRIM', tried, 0, {TRIED - 1})
-- Announced once for all: nobody waits for what is merely recorded.
if announced ~= '' then announce(problem, announced) end

local total = counted
for _, x in ipairs(ids) do if x ~= '-' then total = total + 1 end end
-- A slot cannot have worked for longer than it had the lease.
local most = math.min(tonumber(ARGV[5]), tonumber(l[13])) - tonumber(l[12]) - tonumber(l[14])
local milliseconds = math.max(0, math.min(tonumber(ARGV[9]), most))
if counted > 0 then redis.call('INCRBY', 'ar:experiment-number:' .. problem, counted) end
redis.call('HSET', key, 'recorded', recorded, 'claims', claims, 'experiments', tonumber(l[16]) + total,
  'milliseconds', string.format('%d', tonumber(l[14]) + milliseconds))
if total > 0 then
  redis.call('HINCRBY', 'ar:problem:' .. problem, 'experiments', total)
  redis.call('SADD', 'ar:contributors:' .. problem, contributor)
  redis.call('ZINCRBY', 'ar:standing:' .. problem .. ':experiments', total, contributor)
  redis.call('ZINCRBY', 'ar:standing:' .. problem .. ':seconds', milliseconds / 1000, contributor)
end
local receipt = string.format('%d', total)
if #ids > 0 then receipt = receipt .. ' ' .. table.concat(ids, ' ') end
redis.call('HSET', key .. ':receipts', ARGV[3], receipt)
if ARGV[7] == '1' then settle(id, 'finished') end
if l[3] ~= 'granted' then
  redis.call('EXPIRE', key, {KEPT_SECONDS})
  redis.call('EXPIRE', key .. ':receipts', {KEPT_SECONDS})
end
return {{'receipt', receipt, unpack(queued)}}
"""
)
MAY_READ = """
-- 1 identity 2 blob
for _, id in ipairs(redis.call('SMEMBERS', 'ar:leases-of:' .. ARGV[1])) do
  local l = redis.call('HMGET', 'ar:lease:' .. id, 'problem', 'revision', 'blobs')
  if l[1] then
    if string.find(' ' .. (l[3] or '') .. ' ', ' ' .. ARGV[2] .. ' ', 1, true) then return 1 end
    if redis.call('SISMEMBER', 'ar:public:' .. l[1] .. ':' .. l[2], ARGV[2]) == 1 then return 1 end
    if redis.call('SISMEMBER', 'ar:improved:' .. l[1], ARGV[2]) == 1 then return 1 end
  end
end
return 0
"""
