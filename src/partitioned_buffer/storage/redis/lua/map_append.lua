-- A parcel of one producer for one partition of a Map: its ops are done once, however often it is sent.
--
-- A record: mode (1 byte), flags (1), version (8), updates (4), hash (8), value; see abc/shared_map.py.
--
-- KEYS 1 T:w     what waits: record by key
--      2 T:r     what is in flight: likewise
--      3 T:v0  4 T:v1   what was delivered: version and hash by key
--      5 T:meta
--      6 T:gone   keys that were deleted while they were in flight, of this swap
--      7 T:d:<producer>   "<mark of the last record it has had> <how many it has had>"
-- ARGV 1 known  2 first  3 last  4 count
--      5 most records held ("0": any)  6 ms that KEYS 7 is kept
--      7 "1": write in any case, so that there is something for WAIT to wait for
--      8 channel  9 partition
--      10 accepted  11 coalesced  12 deleted, by the producer  13 most bytes of parts for a key
--      14.. key, record, key, record, ...
-- -> {1} done                  {0} had been
--    {-1, had} a gap           {-2, mark, had} had a part of it, up to that mark
--    {-3, held} full           {-4, generation} sealed: go on in that generation
--    {-3, held, bytes} full: of parts that wait for a key
if #KEYS ~= 7 or #ARGV < 13 or #ARGV % 2 == 0 then
  return redis.error_reply('ERR map_append takes 7 keys, 13 arguments, and pairs')
end

local known, first, last = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local mark, had = 0, 0
local noted = redis.call('GET', KEYS[7])
if noted then
  mark, had = string.match(noted, '^(%d+) (%d+)$')
  mark, had = tonumber(mark), tonumber(had)
end

if mark >= last then
  if ARGV[7] == '1' then redis.call('PEXPIRE', KEYS[7], ARGV[6]) end
  return {0}
end
if mark < known then return {-1, had} end
if known >= 0 and mark > known or known < 0 and mark >= first then return {-2, mark, had} end

local sealed = redis.call('HGET', KEYS[5], 'sealed')
if sealed then return {-4, tonumber(sealed)} end

local NEWER, DELETE, ADD, PART = 78, 68, 65, 77
local VERSIONED, CLEARS = 1, 2
local EXACT, NUMBER = 9007199254740992, 2147483648
local PIECE = 1000  -- of what one command is given: unpack() has bounds
local byte, sub, pack = string.byte, string.sub, struct.pack

local function in_pieces(command, key, words)
  for from = 1, #words, PIECE do
    redis.call(command, key, unpack(words, from, math.min(from + PIECE - 1, #words)))
  end
end

local function looked_up(key, fields)  -- what is there, in their order; false for nothing
  local found = {}
  for from = 1, #fields, PIECE do
    local values = redis.call('HMGET', key, unpack(fields, from, math.min(from + PIECE - 1, #fields)))
    for at = 1, #values do found[from + at - 1] = values[at] end
  end
  return found
end

-- Of the op at each place: its key, and what waited before.
local keys, count = {}, (#ARGV - 13) / 2
for place = 1, count do keys[place] = ARGV[12 + 2 * place] end
local waiting, flying = redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[2])
local before = looked_up(KEYS[1], keys)

-- A version is two halves: a float does not hold 8 bytes.
local function version_of(record)
  if byte(record, 2) % 2 ~= VERSIONED then return 0, 0 end
  return struct.unpack('>i4I4', record, 3)
end

-- What a version has to beat where nothing waits for its key.
local high, low = {}, {}
do
  local asked, places = {}, {}
  for place = 1, count do
    if not before[place] and byte(ARGV[13 + 2 * place]) == NEWER then
      asked[#asked + 1], places[#places + 1] = keys[place], place
    end
  end
  for at = 2, 4 do  -- in flight, delivered lately, delivered
    local found, fields, rest = looked_up(KEYS[at], asked), {}, {}
    for each, place in ipairs(places) do
      if not found[each] then
        fields[#fields + 1], rest[#rest + 1] = asked[each], place
      elseif at == 2 then
        high[place], low[place] = version_of(found[each])
      else
        high[place], low[place] = struct.unpack('>i4I4', found[each])
      end
    end
    asked, places = fields, rest
  end
end

local function number(text)  -- nil: a whole one that a float may not hold
  local value = tonumber(sub(text, 2))
  if byte(text) == 102 or value > -EXACT and value < EXACT then return value end
  if text == 'i9007199254740992' or text == 'i-9007199254740992' then return value end
end

local function sum(one, other)  -- nil: likewise
  local a, b = number(one), number(other)
  if not a or not b then return nil end
  if byte(one) == 102 or byte(other) == 102 then return 'f' .. string.format('%.17g', a + b) end
  if a > 0 and b > EXACT - a or a < 0 and b < -EXACT - a then return nil end
  return 'i' .. string.format('%.0f', a + b)
end

local function parts(record)
  local mode, value = byte(record), sub(record, 23)
  if mode == PART then return value end
  return pack('>I4', #value + (mode == ADD and NUMBER or 0)) .. value
end

local function joined(old, op)
  if byte(old) == ADD and byte(op) == ADD then
    local found = sum(sub(old, 23), sub(op, 23))
    if found then return sub(op, 1, 22) .. found end
  end
  return 'M' .. sub(op, 2, 22) .. parts(old) .. parts(op)
end

local now = {}  -- by key: what is to wait; false for nothing
local others = {}  -- by key: whether that has something of what waited before
local cleared, gone = {}, {}
local coalesced, deleted = tonumber(ARGV[11]), tonumber(ARGV[12])
for place = 1, count do
  local key, op = keys[place], ARGV[13 + 2 * place]
  local mode, flags = byte(op, 1, 2)
  local old, other = now[key], others[key]
  if old == nil then old, other = before[place], before[place] end
  if mode == DELETE or flags >= CLEARS then
    if old then deleted = deleted + 1 end
    old, other, now[key] = false, false, false
    if not cleared[key] then cleared[key], gone[#gone + 1] = true, key end
    op = sub(op, 1, 1) .. string.char(flags % CLEARS) .. sub(op, 3)
  end
  local wins = mode ~= DELETE
  if mode == NEWER then
    local least, less = high[place], low[place]
    if old then least, less = version_of(old) elseif cleared[key] then least = nil end
    if least then
      local most, more = struct.unpack('>i4I4', op, 3)
      wins = most > least or most == least and more > less
    end
    if wins and old then
      local updates = struct.unpack('>I4', old, 11) + struct.unpack('>I4', op, 11) + 1
      op = sub(op, 1, 10) .. pack('>I4', updates) .. sub(op, 15)
    end
    coalesced = coalesced + ((old or not wins) and 1 or 0)
    if wins then other = false end
  elseif old then
    coalesced = coalesced + 1
    if mode == ADD or mode == PART then
      op, others[key] = joined(old, op), other
      -- What is larger than all the room there is goes in alone: it would never go in otherwise.
      if #op - 22 > tonumber(ARGV[13]) and other then return {-3, waiting + flying, #op - 22} end
    else
      other = false
    end
  end
  if wins then now[key] = op end
  if others[key] and not other then others[key] = false end
end

local set, unset, last_set, more = {}, {}, 0, 0
for place = 1, count do
  local key = keys[place]
  local record = now[key]
  if record then
    set[last_set + 1], set[last_set + 2], last_set = key, record, last_set + 2
    if not before[place] then more = more + 1 end
  elseif record == false and before[place] then
    unset[#unset + 1] = key
  end
  now[key] = nil  -- once
end
more = more - #unset
local held, most = waiting + flying, tonumber(ARGV[5])
if most > 0 and held > 0 and more > 0 and held + more > most then return {-3, held} end

-- The first write is one that a server without memory refuses: all of it is done, or nothing.
redis.call('SET', KEYS[7], string.format('%.0f %.0f', last, had + tonumber(ARGV[4])), 'PX', ARGV[6])
in_pieces('HDEL', KEYS[1], unset)
in_pieces('HSET', KEYS[1], set)
local landed = {}
for at, record in ipairs(looked_up(KEYS[2], gone)) do
  if record then landed[#landed + 1] = gone[at] end
end
in_pieces('HDEL', KEYS[2], landed)
in_pieces('SADD', KEYS[6], landed)
in_pieces('HDEL', KEYS[3], gone)
in_pieces('HDEL', KEYS[4], gone)
redis.call('HINCRBY', KEYS[5], 'accepted', ARGV[10])
redis.call('HINCRBY', KEYS[5], 'coalesced', coalesced)
redis.call('HINCRBY', KEYS[5], 'deleted', deleted + #landed)
-- So that all numbers are of one moment for who looks at them by one command.
redis.call('HSET', KEYS[5], 'waiting', waiting + more, 'flying', flying - #landed)
if waiting == 0 and last_set > 0 then
  local time = redis.call('TIME')
  local ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', KEYS[5], 'since', string.format('%.0f', ms))
  if held == 0 then redis.pcall('PUBLISH', ARGV[8], ARGV[9]) end  -- it is there, heard or not
end
return {1}
