#!lua flags=allow-oom
-- What an earlier layout's partitions hold is copied to one of the next, in which nobody works yet.
--
-- KEYS 1 T:meta  2 T:w, T:r, T:v0 or T:v1      ARGV field, value, ...
-- -> 1, or 0: it has all of it, and may be worked in
if #KEYS ~= 2 or #ARGV == 0 or #ARGV % 2 ~= 0 then return redis.error_reply('ERR map_deal takes 2 keys and pairs') end
if redis.call('HEXISTS', KEYS[1], 'whole') == 1 then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV))
return 1
