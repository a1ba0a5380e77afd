#!lua flags=allow-oom
-- Who works on this buffer.
--
-- KEYS 1 {name}:workers, each until when (ms)
-- ARGV 1 worker  2 ms from now ("0": it leaves)
--      3 channel  4 what is said there if somebody has come or gone
-- -> those who are there, in an order for all
if #KEYS ~= 1 or #ARGV ~= 4 then return redis.error_reply('ERR beat takes 1 key and 4 arguments') end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local come = redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
local gone = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
-- Who leaves without having been there has done both.
local others = ARGV[2] == '0' and gone - come or gone + come
if others > 0 then redis.pcall('PUBLISH', ARGV[3], ARGV[4]) end
local live = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(live)
return live
