-- A different signal and Idempotency-Key in each request; what was answered, by status, as one line of JSON at the end.
-- wrk -t1 -cN -dNs -s save.lua URL -- RUN
local run, number, statuses = "", 0, {}
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  run = arguments[1]
  seen = ""
end

function request()
  number = number + 1
  local body = string.format(
    '{"symbol":"S%dUSDT","signal_type":"BUY","confidence":0.85,"price":%.2f,"stop_loss":99000.5,' ..
    '"strategy":"rsi","bot_id":"bot-1","metadata":{"n":%d}}',
    number % 50, 100000 + number * 0.01, number)
  local headers = {["Content-Type"] = "application/json", ["Idempotency-Key"] = run .. "-" .. number}
  return wrk.format("POST", nil, headers, body)
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
  if statuses[status] == 1 then
    seen = seen .. status .. " "
  end
  _G["status_" .. status] = statuses[status]
end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for status in thread:get("seen"):gmatch("%d+") do
      table.insert(counts, string.format('"%s":%d', status, thread:get("status_" .. status)))
    end
  end
  local errors = summary.errors
  io.write(string.format('\n{"statuses":{%s},"seconds":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,"broken":%d}\n',
    table.concat(counts, ","), summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout))
end
