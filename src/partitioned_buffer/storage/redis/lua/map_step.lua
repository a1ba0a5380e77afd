-- One step of a Map's partition: stay its owner, forget what is settled, swap, read on.
--
-- All that is in flight has come with one swap, and is settled before there is another. So the same
-- step again, or one that settles more, does no harm: what it settles is of that swap, or of none.
--
-- KEYS 1 T:lease  2 T:meta
--      3 T:w   what waits: record by key
--      4 T:r   what is in flight: likewise
--      5 T:v0  6 T:v1   what was delivered: version and hash by key
--      7 T:gone   keys that were deleted while they were in flight, of this swap
-- ARGV 1 the lease's value  2 ms that it lasts
--      3 the swap whose keys are settled
--      4 the swap that this owner has read of (-1: none)  5 where to read on ("": it has all)
--      6 records  7 bytes
--      8 how many versions to remember
--      9 "1": this owner has nothing in hand but what it settles, so there may be another swap
--      10 how many keys are delivered  11.. these, and behind them those that were given up
-- -> {swap, {key, record, key, record, ...}, where reading goes on, in flight, waiting}
--    nil: not the owner, or what it has read is not what is there, or it is sealed: that goes elsewhere
if #KEYS ~= 7 or #ARGV < 10 then return redis.error_reply('ERR map_step takes 7 keys, 10 arguments, and keys') end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
-- The first write is one that a server without memory allows, and so it does the others.
redis.call('PEXPIRE', KEYS[1], ARGV[2])

local meta = redis.call('HMGET', KEYS[2], 'swap', 'sealed')
if meta[2] then return false end
local swap = tonumber(meta[1] or '0')
local settled, read = tonumber(ARGV[3]), tonumber(ARGV[4])
if settled > swap or read > swap then return false end  -- a server that has lost its last writes

local PIECE = 1000  -- of what one command is given: unpack() has bounds
local most = tonumber(ARGV[8])

local function remember(from, upto)  -- the versions of keys that are in flight still
  local versions, known, forgotten = {}, 0, {}
  for at, record in ipairs(redis.call('HMGET', KEYS[4], unpack(ARGV, from, upto))) do
    local key = ARGV[from + at - 1]
    if record and string.byte(record, 2) % 2 == 1 then
      versions[known + 1], known = key, known + 2
      versions[known] = string.sub(record, 3, 10) .. string.sub(record, 15, 22)
    elseif record then
      forgotten[#forgotten + 1] = key
    end
  end
  if #forgotten > 0 then
    redis.call('HDEL', KEYS[5], unpack(forgotten))
    redis.call('HDEL', KEYS[6], unpack(forgotten))
  end
  if known > 0 then
    redis.call('HSET', KEYS[5], unpack(versions))
    if redis.call('HLEN', KEYS[5]) >= most then
      redis.call('UNLINK', KEYS[6])
      redis.call('RENAME', KEYS[5], KEYS[6])
    end
  end
end

local function in_pieces(command, key, from, last)
  local count = 0
  for first = from, last, PIECE do
    count = count + redis.call(command, key, unpack(ARGV, first, math.min(first + PIECE - 1, last)))
  end
  return count
end

if settled == swap and #ARGV > 10 then
  local last = 10 + tonumber(ARGV[10])
  for from = 11, most > 0 and last or 0, PIECE do remember(from, math.min(from + PIECE - 1, last)) end
  if most == 0 then redis.call('UNLINK', KEYS[5], KEYS[6]) end
  in_pieces('HDEL', KEYS[4], 11, last)
  -- What was deleted while it was in hand, and is dead now, is counted as that alone.
  local both = in_pieces('SREM', KEYS[7], last + 1, #ARGV)
  local dead = both + in_pieces('HDEL', KEYS[4], last + 1, #ARGV)
  if dead > 0 then redis.call('HINCRBY', KEYS[2], 'dead', dead) end
  if both > 0 then redis.call('HINCRBY', KEYS[2], 'deleted', -both) end
  redis.call('HSET', KEYS[2], 'flying', redis.call('HLEN', KEYS[4]))
end

local want, room, at = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[5]
local left, waiting = redis.call('HLEN', KEYS[4]), redis.call('HLEN', KEYS[3])
-- What was deleted in hand is still to be told apart, if it is given up: so its swap goes on.
if left == 0 and waiting > 0 and want > 0 and ARGV[9] == '1' then
  redis.call('RENAME', KEYS[3], KEYS[4])
  redis.call('UNLINK', KEYS[7])
  swap = redis.call('HINCRBY', KEYS[2], 'swap', 1)
  left, waiting = waiting, 0
  redis.call('HSET', KEYS[2], 'waiting', 0, 'flying', left, 'began', redis.call('HGET', KEYS[2], 'since') or '0')
end
if read ~= swap then at = '0' end
if left == 0 then at = '' end

local out, read_on, count = {}, 0, math.min(4, want)
while at ~= '' and want > 0 and room > 0 do
  local before = room
  local found = redis.call('HSCAN', KEYS[4], at, 'COUNT', count)
  at = found[1] ~= '0' and found[1] or ''
  local entries = found[2]
  for each = 1, #entries do
    out[read_on + each] = entries[each]
    room = room - #entries[each]
  end
  read_on, want = read_on + #entries, want - #entries / 2
  -- As many at a time as are wanted; few until it is known that they are small.
  if (before - room) * 8 < room then count = math.min(count * 4, 1000) end
  count = math.max(1, math.min(count, want))
end
return {swap, out, at, left, waiting}
