#!lua flags=allow-oom
-- A partition's lease: whoever has it delivers.
--
-- A worker that asks for what it has gets it anew: it did not hear that it has it.
--
-- KEYS 1 T:lease  2 T:meta      ARGV 1 worker  2 ms that it lasts
-- -> its token, greater than any before; nil: another worker has it
if #KEYS ~= 2 or #ARGV ~= 2 then return redis.error_reply('ERR claim takes 2 keys and 2 arguments') end
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^%d+|(.*)$') ~= ARGV[1] then return false end

-- By the clock, so that it grows even where the server has lost what it knew.
local time = redis.call('TIME')
local token = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local before = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if token <= before then token = before + 1 end
local text = string.format('%.0f', token)
redis.call('HSET', KEYS[2], 'token', text, 'told', 0)
redis.call('SET', KEYS[1], text .. '|' .. ARGV[1], 'PX', ARGV[2])
return token
