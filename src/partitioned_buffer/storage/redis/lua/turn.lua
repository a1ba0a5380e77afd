#!lua flags=allow-oom
-- Change the config, if nobody else has.
--
-- KEYS 1 {name}:config      ARGV 1 field  2 its value, as known ("": none)  3.. field, value, ...
-- -> 1, or 0: it has another value
if #KEYS ~= 1 or #ARGV < 4 or #ARGV % 2 ~= 0 then
  return redis.error_reply('ERR turn takes 1 key, what is known, and pairs')
end
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
