#!lua flags=allow-oom
-- A sealed partition whose records are those of the next layout forgets them, and has not had them.
--
-- KEYS 1 T:meta  2 T:w  3 T:r  4 T:v0  5 T:v1  6 T:gone
-- -> how many these are; nil: it is not sealed
if #KEYS ~= 6 or #ARGV ~= 0 then return redis.error_reply('ERR map_leave takes 6 keys') end
if redis.call('HEXISTS', KEYS[1], 'sealed') == 0 then return false end
local held = redis.call('HLEN', KEYS[2]) + redis.call('HLEN', KEYS[3])
redis.call('HINCRBY', KEYS[1], 'accepted', string.format('%d', -held))
redis.call('HSET', KEYS[1], 'waiting', 0, 'flying', 0)
redis.call('UNLINK', unpack(KEYS, 2))
return held
