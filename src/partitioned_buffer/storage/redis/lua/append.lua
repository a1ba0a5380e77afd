-- A parcel of one producer for one partition: it goes in once, however often it is sent.
--
-- KEYS 1 T:w     data of each chunk
--      2 T:at    of each chunk: when it came (ms), and how many records it has
--      3 T:meta
--      4 T:d:<producer>   "<mark of the last record it has had> <how many it has had>"
-- ARGV 1 known  2 first  3 last  4 count  5 data
--      6 most records held ("0": any)  7 ms that KEYS 4 is kept
--      8 "1": write in any case, so that there is something for WAIT to wait for
--      9 channel  10 partition
--      11 "1": the data is in KEYS 1 already, the last there: pushed just before, in a transaction
-- -> {1} appended              {0} had been
--    {-1, had} a gap           {-2, mark, had} had a part of it, up to that mark
--    {-3, held} full           {-4, generation} sealed: go on in that generation
if #KEYS ~= 4 or #ARGV ~= 11 then return redis.error_reply('ERR append takes 4 keys and 11 arguments') end

local known, first, last = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count, most = tonumber(ARGV[4]), tonumber(ARGV[6])
local mark, had = 0, 0
local noted = redis.call('GET', KEYS[4])
if noted then
  mark, had = string.match(noted, '^(%d+) (%d+)$')
  mark, had = tonumber(mark), tonumber(had)
end

-- What is in KEYS 1 and not in KEYS 2 is no chunk: it was pushed for a script that failed, or for
-- this one. It is the last of all.
local stray = redis.call('LLEN', KEYS[1]) - redis.call('LLEN', KEYS[2])
if ARGV[11] == '1' and stray < 1 then return redis.error_reply('ERR append takes data that was pushed') end
local function tidy()
  if stray > 0 then redis.call('LTRIM', KEYS[1], 0, -stray - 1) end
end
local function refused(...)
  tidy()
  return {...}
end

if mark >= last then
  if ARGV[8] == '1' then redis.call('PEXPIRE', KEYS[4], ARGV[7]) end
  return refused(0)
end
if mark < known then return refused(-1, had) end
if known >= 0 and mark > known or known < 0 and mark >= first then return refused(-2, mark, had) end

local meta = redis.call('HMGET', KEYS[3], 'end', 'pos', 'sealed')
if meta[3] then return refused(-4, tonumber(meta[3])) end
local held = tonumber(meta[1] or '0') - tonumber(meta[2] or '0')
-- What is larger than all the room there is goes in alone: it would never go in otherwise.
if most > 0 and held > 0 and held + count > most then return refused(-3, held) end

-- The first write is one that a server without memory refuses: all of it is done, or nothing.
local data = ARGV[5]
if ARGV[11] == '1' then data = stray > 1 and redis.call('LRANGE', KEYS[1], -1, -1)[1] end
if data then
  tidy()
  redis.call('RPUSH', KEYS[1], data)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('RPUSH', KEYS[2], struct.pack('>dI4', now, count))
redis.call('HINCRBY', KEYS[3], 'end', count)
redis.call('SET', KEYS[4], string.format('%.0f %.0f', last, had + count), 'PX', ARGV[7])
if held == 0 then redis.pcall('PUBLISH', ARGV[9], ARGV[10]) end  -- it is there, heard or not
return {1}
