#!lua flags=no-writes
-- What there is of one key of a Map, and of a producer.
--
-- KEYS 1 T:w  2 T:r  3 T:meta  4 T:d:<producer>      ARGV 1 key
-- -> {the record that waits, the one in flight, "<mark of the last record it has had> <...>"}
--    or the number of the generation that goes on
if #KEYS ~= 4 or #ARGV ~= 1 then return redis.error_reply('ERR map_get takes 4 keys and 1 argument') end
local sealed = redis.call('HGET', KEYS[3], 'sealed')
if sealed then return tonumber(sealed) end
return {redis.call('HGET', KEYS[1], ARGV[1]), redis.call('HGET', KEYS[2], ARGV[1]), redis.call('GET', KEYS[4])}
