#!lua flags=allow-oom
-- What was given up is kept, once, by whoever has the lease. It counts as dead when a step settles it:
-- until then it is held, and comes again if its owner dies.
--
-- KEYS 1 T:lease  2 T:meta  3 T:dead: number -> count (4 bytes), and the rest of the letter
-- ARGV 1 the lease's value  2 count  3 the letter  4 what tells it from the last one of this owner
-- -> its number; nil: not the owner
if #KEYS ~= 3 or #ARGV ~= 4 then return redis.error_reply('ERR bury takes 3 keys and 4 arguments') end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local meta = redis.call('HMGET', KEYS[2], 'buried', 'letter')
if meta[2] == ARGV[4] then return tonumber(meta[1]) end
local number = redis.call('HINCRBY', KEYS[2], 'buried', 1)
redis.call('HSET', KEYS[2], 'letter', ARGV[4])
redis.call('HINCRBY', KEYS[2], 'kept', ARGV[2])
redis.call('HSET', KEYS[3], number, ARGV[3])
return number
