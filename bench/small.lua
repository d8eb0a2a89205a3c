-- Small objects for wrk. Environment: VERB, TOKEN, BYTES, NAMES (names a thread may use again), FIRST (names used).
-- PUT and DELETE go through names one by one; GET picks at random among those that PUT has written. After COUNT answers a
-- thread stops (0: never). Each connection pauses for PAUSE_MS after an answer.
local verb, token = os.getenv("VERB"), os.getenv("TOKEN")
local bytes, names = tonumber(os.getenv("BYTES")), tonumber(os.getenv("NAMES"))
local count = tonumber(os.getenv("COUNT") or "0")
local thread_count, answers = 0, 0

local pause = tonumber(os.getenv("PAUSE_MS") or "0")
if pause > 0 then
  function delay() return math.random(0, 2 * pause) end
end

if count > 0 then
  function response()
    answers = answers + 1
    if answers >= count then wrk.thread:stop() end
  end
end

function setup(thread)
  thread:set("number", thread_count)
  thread_count = thread_count + 1
end

function init()
  math.randomseed(1000 + number)
  local piece = {}
  for at = 1, bytes do piece[at] = string.char(math.random(0, 255)) end
  content = table.concat(piece)
  folder = wrk.path
  at = tonumber(os.getenv("FIRST") or "0")
  headers = { ["X-Auth-Token"] = token }
  sending = { ["X-Auth-Token"] = token, ["Content-Type"] = "application/octet-stream" }
end

function request()
  if verb == "LIST" then return wrk.format("GET", folder .. "?limit=100&marker=n" .. number, headers) end
  if verb == "GET" then
    return wrk.format("GET", string.format("%s/n%d-%d", folder, number, math.random(2, names)), headers)
  end
  at = at + 1
  local path = string.format("%s/n%d-%d", folder, number, at)
  if verb == "PUT" then return wrk.format("PUT", path, sending, content) end
  assert(verb == "DELETE", "not a verb of this script: wrk waits for the body of an answer to HEAD")
  return wrk.format("DELETE", path, headers)
end

function done(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format("FIGURES %.3f %d %d %.4f %.4f\n", summary.duration / 1e6, summary.requests,
    bad + summary.errors.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
