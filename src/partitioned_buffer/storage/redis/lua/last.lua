#!lua flags=no-writes
-- Look at what was given up last, however much that is.
--
-- KEYS 1 T:dead  2 T:meta
-- ARGV 1 how many to look at  2 bytes of data to bring at most; longer errors are cut at 2000
-- -> the newest first, each as: number, how much data it has, counts, error, data, when ("": nothing is said)
if #KEYS ~= 2 or #ARGV ~= 2 then return redis.error_reply('ERR last takes 2 keys and 2 arguments') end
local TIMED = 2147483648
local newest = tonumber(redis.call('HGET', KEYS[2], 'buried') or 0)
local room, found = tonumber(ARGV[2]), {}
for number = newest, newest - ARGV[1] + 1, -1 do
  local letter = redis.call('HGET', KEYS[1], number)
  if letter then
    local length, begin, when = struct.unpack('>I4', letter, 9), 12, ''
    if length >= TIMED then
      length, begin, when = length - TIMED, 20, string.sub(letter, 13, 20)
    end
    local behind = begin + length
    local data = string.sub(letter, behind + 1)
    local brought = ''
    if #data <= room then
      brought, room = data, room - #data
    end
    local error = string.sub(letter, begin + 1, math.min(behind, begin + 2000))
    table.insert(found, {number, #data, string.sub(letter, 1, 8), error, brought, when})
  end
end
return found
