-- One call of one proxy about the login budget that it shares with others: hands out time slots, one login each.
--
-- KEYS[1]: the budget, a hash. KEYS[2]: its members, a hash of id -> "heard:seen:wanted", and both in one hash slot.
-- Times are whole microseconds on this server's clock, spans too. shared_budget.py has the reasons and the other half.
local SECOND = 1e6
local FORGET = 3600 * SECOND         -- a proxy that fell silent is counted for so long
local NEWBORN = 5 * SECOND           -- a new budget waits so long for its other proxies
local RECENT = SECOND                -- a proxy that wanted a slot within this time takes part in the sharing
local DOUBT = 0.05 * SECOND          -- an answer and a call that travel longer may be a clock that jumped
local JUMPED = 0.5 * SECOND          -- and after so long nobody waits for it any more: the clock has jumped
local DRIFT = 0.005 * SECOND         -- what two clocks may differ between two calls
local DOUBT_EVERY = 10 * SECOND
local BUCKET, RING = 0.1 * SECOND, 128               -- in which the slots of the last seconds are counted
local MEMORY = 12 * SECOND                           -- as in budget.py
local CLEAR_SHARE, CLEAR_LOGINS, DRAINED = 0.1, 5, 0.95
local FACTOR, NEAR_CEILING, LOWEST = 0.85, 0.95, 1   -- as in adaptive_rate.py
local RECOVERY, PROBE, HOLD_OFF = 4 * SECOND, 30 * SECOND, SECOND
local LOWERED_BURST = 2

local what, id = ARGV[1], ARGV[2]
if what == 'leave' then
  redis.call('HDEL', KEYS[2], id)
  return {}
end
local function argument(i) return tonumber(ARGV[i]) end
local limit = argument(3)            -- logins a second
local burst = argument(4)            -- slots that a quiet time leaves for one moment
local size = argument(5)             -- proxies that share the budget
local horizon = argument(6)          -- no slot is further ahead
local silence = argument(7)          -- whoever was not heard for so long may be about to use its own share
local wanted = argument(8)           -- slots
local known = argument(9)            -- the next free slot as this proxy was told last; 0: it never was
local heard = argument(10)           -- the time in the last answer that came to it on this connection; 0: none did
local waited = argument(11)          -- the span since then on its own clock
local refused = argument(12)         -- the slot of a login that the database has throttled; 0: none

local time = redis.call('TIME')
local now = tonumber(time[1]) * SECOND + tonumber(time[2])

-- What is remembered ---------------------------------------------------------------------------------------------

local names = {'next', 'last', 'step', 'goal', 'stepped', 'paused', 'reserve', 'doubted', 'spacing'}
local budget = {}
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do budget[names[i]] = tonumber(value) or 0 end
local members = {}
local raw = redis.call('HGETALL', KEYS[2])
for i = 1, #raw, 2 do
  local h, s, w = string.match(raw[i + 1], '^(%d+):(%d+):(%d+)$')
  members[raw[i]] = {heard = tonumber(h) or 0, seen = tonumber(s) or 0, wanted = tonumber(w) or 0}
end
local is_member = members[id] ~= nil

local function remember(name)
  local m = members[name]
  redis.call('HSET', KEYS[2], name, string.format('%.0f:%.0f:%.0f', m.heard, m.seen, m.wanted))
end

if budget.last > now then            -- the clock went back: what was written by it says nothing
  for name, member in pairs(members) do
    member.heard, member.seen = 0, now
    remember(name)
  end
  for _, name in ipairs({'stepped', 'paused', 'doubted'}) do budget[name] = math.min(budget[name], now) end
  budget.reserve = math.min(budget.reserve, now + FORGET)
end

-- The rate that the database bears -------------------------------------------------------------------------------

local function borne()
  local since = now - budget.stepped
  if budget.stepped == 0 then return limit end
  if since < RECOVERY then return math.min(limit, budget.step + (budget.goal - budget.step) * since / RECOVERY) end
  return math.min(limit, budget.goal + (since - RECOVERY) / PROBE)
end
local bears = borne()

-- No slot that was ever handed out can be later than this, less the distance to the next.
local function edge() return math.ceil(now + horizon + math.max(SECOND / bears, budget.spacing)) end

if budget.next == 0 or (known > 0 and not is_member) then          -- emptied, or never known
  budget.next = math.max(budget.next, edge())
  budget.reserve = math.max(budget.reserve, now + (known > 0 and FORGET or NEWBORN))
end
budget.next = math.min(budget.next, edge())                        -- else written by a clock that was ahead

-- Another server, or the same with writes lost or another time: then slots may be in use that it knows nothing of.
local travelled = now - heard - waited   -- an answer and this call, if no clock jumped
local doubtful = known > budget.next or (heard > 0 and travelled > JUMPED)
if now - budget.doubted > DOUBT_EVERY then
  doubtful = doubtful or (heard == 0 and is_member) or (heard > 0 and travelled > DOUBT)
end
if heard > now or travelled < -DRIFT then heard = 0 end
if doubtful then budget.next, budget.doubted = edge(), now end

-- The database throttles -----------------------------------------------------------------------------------------

local function bucket(at) return math.floor(at / BUCKET) end

-- How many slots lie in each of these buckets.
local function counted(first, last)
  local fields, counts = {}, {}
  for b = first, last do fields[#fields + 1] = 'u' .. b % RING end
  for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
    local b, count = string.match(value or '', '^(%d+):(%d+)$')
    counts[i] = tonumber(b) == first + i - 1 and tonumber(count) or 0
  end
  return counts
end

local function sum(counts)
  local total = 0
  for _, count in ipairs(counts) do total = total + count end
  return total
end

-- Until `room` slots a second, going on at the rate, are not exceeded: the database still counts those before.
local function pause(room)
  local first = bucket(now) - 9
  local counts = counted(first, first + 9)
  local before, over = 0, sum(counts) - room
  for i, count in ipairs(counts) do
    if over >= 0 and before + count > over then
      local until_ = (first + i) * BUCKET + SECOND - math.max(0, before - over) * SECOND / bears
      budget.next = math.max(budget.next, math.ceil(until_))
    end
    before = before + count
  end
end

if refused > budget.paused and refused > now - MEMORY and refused <= now + horizon then
  local used = sum(counted(bucket(refused) - 9, bucket(refused)))
  budget.paused = math.max(budget.next, now)         -- slots that were handed out before tell nothing new
  if now - budget.stepped >= HOLD_OFF then
    local clear = used >= math.max(CLEAR_LOGINS, bears * CLEAR_SHARE)
    local ceiling = clear and math.min(bears, used) or bears
    budget.step = math.max(math.min(LOWEST, limit), ceiling * FACTOR)
    budget.goal = math.max(budget.step, ceiling * NEAR_CEILING)
    budget.stepped = now
    bears = budget.step
  end
  pause(math.max(1, math.floor(used * DRAINED)))
end

-- Who takes part -------------------------------------------------------------------------------------------------

members[id] = {heard = heard, seen = now, wanted = wanted}
remember(id)
local hearing, silent, active = 0, 0, 0
for name, member in pairs(members) do
  local age = now - member.heard
  if age >= 0 and age <= silence then
    hearing = hearing + 1
    if member.wanted > 0 and now - member.seen <= RECENT then active = active + 1 end
  elseif now - member.seen > FORGET then redis.call('HDEL', KEYS[2], name)
  else silent = silent + 1 end
end

-- Those that are not heard may be using their own share; there are not more of them than there is room in the fleet.
local missing = math.max(0, size - hearing)
if now >= budget.reserve then missing = math.min(missing, silent) end
local rate = bears * (size - missing) / size

-- Slots ----------------------------------------------------------------------------------------------------------

local first, count, spacing = 0, 0, 0
if rate > 0 and heard > 0 then         -- whoever hears nothing would take them in vain
  if bears < limit then burst = math.min(burst, LOWERED_BURST) end
  spacing = SECOND / rate
  budget.next = budget.next + math.max(0, math.ceil(spacing - budget.spacing))  -- it was that far from the one before
  budget.spacing = spacing
  first = math.ceil(math.max(budget.next, now - (burst - 1) * spacing))
  local mine = math.max(burst, math.floor(horizon / spacing / math.max(1, active)))
  local room = math.floor((now + horizon - first) / spacing) + 1
  count = math.max(0, math.min(wanted, mine, room))
end
local added = {}
for i = 0, count - 1 do
  local b = bucket(math.max(now, first + i * spacing))
  added[b] = (added[b] or 0) + 1
end
local writes = {}
local function write(field, value)
  writes[#writes + 1] = field
  writes[#writes + 1] = value
end
for b, more in pairs(added) do write('u' .. b % RING, string.format('%.0f:%.0f', b, counted(b, b)[1] + more)) end
if count > 0 then budget.next = math.ceil(first + count * spacing) end
budget.last = now
for _, name in ipairs(names) do write(name, string.format('%.3f', budget[name])) end
redis.call('HSET', KEYS[1], unpack(writes))
redis.call('PEXPIRE', KEYS[1], FORGET / 1000)
redis.call('PEXPIRE', KEYS[2], FORGET / 1000)

local function text(number) return string.format('%.3f', number) end
return {text(now), text(first), text(count), text(spacing), text(budget.next), text(active), text(hearing),
  text(rate), text(bears), text(budget.stepped)}
