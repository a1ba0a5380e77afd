#!lua flags=allow-oom
-- What a buffer was made for, by whoever was there first.
--
-- KEYS 1 {name}:config      ARGV field, value, ...
-- -> all fields and values that are there
if #KEYS ~= 1 or #ARGV % 2 ~= 0 then return redis.error_reply('ERR pin takes 1 key and pairs') end
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
return redis.call('HGETALL', KEYS[1])
