#!lua flags=no-writes
-- Look at what was given up last, however much that is.
--
-- KEYS 1 T:dead  2 T:meta
-- ARGV 1 how many to look at  2 bytes of data to bring at most; longer errors are cut at 2000
-- -> the newest first, each as: number, how much data it has, its letter with as much as is brought
if #KEYS ~= 2 or #ARGV ~= 2 then return redis.error_reply('ERR last takes 2 keys and 2 arguments') end
local newest = tonumber(redis.call('HGET', KEYS[2], 'buried') or 0)
local room, found = tonumber(ARGV[2]), {}
for number = newest, newest - ARGV[1] + 1, -1 do
  local letter = redis.call('HGET', KEYS[1], number)
  if letter then
    local behind = 12 + struct.unpack('>I4', letter, 9)
    local data = string.sub(letter, behind + 1)
    local brought = ''
    if #data <= room then
      brought, room = data, room - #data
    end
    local error = string.sub(letter, 13, math.min(behind, 2012))
    table.insert(found, {number, #data, string.sub(letter, 1, 8), error, brought})
  end
end
return found
