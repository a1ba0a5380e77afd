-- Somebody has dealt with what was given up.
--
-- KEYS 1 T:dead  2 T:meta      ARGV 1 number
-- -> 1, or 0: it is not there
if #KEYS ~= 2 or #ARGV ~= 1 then return redis.error_reply('ERR forget takes 2 keys and 1 argument') end
local letter = redis.call('HGET', KEYS[1], ARGV[1])
if not letter then return 0 end
-- Deleting is what a server without memory allows, and so it does the other.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'kept', string.format('%d', -struct.unpack('>I4', letter)))
return 1
