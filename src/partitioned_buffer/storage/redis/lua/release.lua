-- A lease is given back.
--
-- KEYS 1 T:lease      ARGV 1 its value  2 channel  3 what is said there
-- -> 1, or 0: it is another's, or nobody's
if #KEYS ~= 1 or #ARGV ~= 3 then return redis.error_reply('ERR release takes 1 key and 3 arguments') end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[2], ARGV[3])  -- it is free, heard or not
return 1
