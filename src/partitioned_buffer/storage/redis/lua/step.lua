-- One step of a partition: stay its owner, forget what is settled, read on.
--
-- Positions say it all, so that the same step again, or one that settles more, does no harm.
--
-- KEYS 1 T:lease  2 T:meta  3 T:w  4 T:at
-- ARGV 1 the lease's value  2 ms that it lasts  3 all before this position is settled (-1: as it is)
--      4 where to read on (-1: where the first chunk begins)  5 records  6 bytes
--      7 the entry in T:at of the last chunk that it has read ("": none)
--      8 how many of what this owner has settled were given up
--      9 how many chunks it has read beside this at most, just before  10 from the how manieth of T:w on
-- -> {settled, end, where reading began, {count, data, count, data, ...}, that entry now,
--    {count, ...} of those beside, which come first, how many are in T:w before where it goes on}
--    nil: not the owner, or what it has read is not what is there
if #KEYS ~= 4 or #ARGV ~= 10 then return redis.error_reply('ERR step takes 4 keys and 10 arguments') end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
-- The first write is one that a server without memory allows, and so it does the others.
redis.call('PEXPIRE', KEYS[1], ARGV[2])

-- base: where the first chunk of the list begins
local meta = redis.call('HMGET', KEYS[2], 'pos', 'base', 'end')
local pos, base, stop = tonumber(meta[1] or '0'), tonumber(meta[2] or '0'), tonumber(meta[3] or '0')
local settled, from = tonumber(ARGV[3]), tonumber(ARGV[4])
if settled > stop or from > stop then return false end  -- a server that has lost its last writes

local counts, entries, trimmed = {}, {}, 0
local function count_of(i)  -- of the i-th chunk there was, from 1; nil: there is none
  if i > #counts then
    local first = #counts - trimmed
    for _, each in ipairs(redis.call('LRANGE', KEYS[4], first, first + 63)) do
      local _, count = struct.unpack('>dI4', each)
      counts[#counts + 1], entries[#entries + 1] = count, each
    end
  end
  return counts[i]
end

-- A server that has lost its last writes gives their positions to others.
local i, start = 0, base
if from >= 0 then
  while start < from and count_of(i + 1) do
    i = i + 1
    start = start + counts[i]
  end
  if start ~= from or i > 0 and entries[i] ~= ARGV[7] then return false end
end

if ARGV[8] ~= '0' then
  local more = tonumber(ARGV[8]) - tonumber(redis.call('HGET', KEYS[2], 'told') or '0')
  if more > 0 then
    redis.call('HINCRBY', KEYS[2], 'dead', more)
    redis.call('HSET', KEYS[2], 'told', ARGV[8])
  end
end

local gone = 0
if settled > pos then
  pos = settled
  while count_of(gone + 1) and base + counts[gone + 1] <= pos do
    gone = gone + 1
    base = base + counts[gone]
  end
  if gone > 0 then
    redis.call('LTRIM', KEYS[3], gone, -1)
    redis.call('LTRIM', KEYS[4], gone, -1)
    trimmed = gone
  end
  if i < gone then i, start = gone, base end
  redis.call('HSET', KEYS[2], 'pos', string.format('%.0f', pos), 'base', string.format('%.0f', base))
end

local out, want, room, most = {}, tonumber(ARGV[5]), tonumber(ARGV[6]), 4
-- What was read beside this, for Lua hashes each byte. It is something else where the list has been
-- trimmed since it was known what comes next.
local beside = {}
if i == tonumber(ARGV[10]) then
  while #beside < tonumber(ARGV[9]) and count_of(i + 1) do
    i = i + 1
    beside[#beside + 1] = counts[i]
    want = want - counts[i]
  end
end
while want > 0 and room > 0 do
  -- As many at a time as are wanted; few until it is known that they are small.
  local piece, expected = 0, 0
  while piece < most and expected < want and count_of(i + piece + 1) do
    piece = piece + 1
    expected = expected + counts[i + piece]
  end
  if piece == 0 then break end
  local before = room
  for _, data in ipairs(redis.call('LRANGE', KEYS[3], i - trimmed, i - trimmed + piece - 1)) do
    if room > 0 then
      i = i + 1
      out[#out + 1], out[#out + 2] = counts[i], data
      want, room = want - counts[i], room - #data
    end
  end
  if (before - room) * 8 < room and most < 256 then most = most * 4 end
end
return {pos, stop, start, out, entries[i] or ARGV[7], beside, i - trimmed}
