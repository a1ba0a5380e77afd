#!lua flags=allow-oom
-- A partition takes nothing any more.
--
-- KEYS 1 T:meta      ARGV 1 the generation that goes on
-- -> 1, or 0: it was sealed
if #KEYS ~= 1 or #ARGV ~= 1 then return redis.error_reply('ERR seal takes 1 key and 1 argument') end
return redis.call('HSETNX', KEYS[1], 'sealed', ARGV[1])
