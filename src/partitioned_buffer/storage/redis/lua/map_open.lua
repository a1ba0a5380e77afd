#!lua flags=allow-oom
-- A partition has all that an earlier layout had for it: nothing more is copied there.
--
-- KEYS 1 T:meta  2 T:w  3 T:r      ARGV 1 when the oldest came that waits  2 ... that is in flight (ms)
-- -> 1, or 0: it had it before
if #KEYS ~= 3 or #ARGV ~= 2 then return redis.error_reply('ERR map_open takes 3 keys and 2 arguments') end
if redis.call('HSETNX', KEYS[1], 'whole', 1) == 0 then return 0 end
local waiting, flying = redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3])
redis.call('HSET', KEYS[1], 'accepted', waiting + flying, 'waiting', waiting, 'flying', flying)
redis.call('HSET', KEYS[1], 'since', ARGV[1], 'began', ARGV[2], 'swap', math.min(flying, 1))
return 1
