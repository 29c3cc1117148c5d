-- The requests that wrk sends: the same order each time, for another caller.

local body = '{"customer":"Ada Lovelace","lines":['
  .. '{"product":"tea","quantity":2},{"product":"bread","quantity":1},{"product":"cheese","quantity":3}]}'
local head = "POST /orders HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\nContent-Length: "
  .. #body .. "\r\ntraceparent: 00-"
local tail = "-01\r\n\r\n" .. body
local random, format = math.random, string.format

function init()
  math.randomseed(os.time())
end

local function word()
  return random(1, 0xffffffff)
end

function request()
  return head .. format("%08x%08x%08x%08x-%08x%08x", word(), word(), word(), word(), word(), word()) .. tail
end

function done(summary, latency)
  local errors = summary.errors
  io.write(format(
    '{"requests":%d,"micros":%d,"p50_us":%.1f,"p99_us":%.1f,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
