-- wrk: mostly reads; every WRITE_EVERY-th request is a write, which the replica cannot take. Each
-- connection pauses THINK_MS between requests, as a machine that is busy with its load generator
-- would show only that. After each write the next request reads it back with the session's cookie,
-- on whatever connection: all orders that are asked for exist, so that a 404 is a stale read.
local every = tonumber(os.getenv("WRITE_EVERY") or "0")
local think_ms = tonumber(os.getenv("THINK_MS") or "0")
local prefix = os.getenv("ROUTE_PREFIX") or ""
local count = 0
local written = nil -- the last order, not yet read back
own_reads, stale_reads = 0, 0
local threads = {}
function setup(thread)
    table.insert(threads, thread)
end
function delay()
    return think_ms
end
function request()
    count = count + 1
    if written then
        local order = written
        written = nil
        own_reads = own_reads + 1
        return wrk.format("GET", prefix .. "/orders/" .. order.id, { Cookie = order.cookie })
    end
    if every > 0 and count % every == 0 then
        return wrk.format("POST", "/orders", nil, "from wrk " .. count)
    end
    return wrk.format("GET", prefix .. "/orders/" .. math.random(1, 1000))
end
function response(status, headers, body)
    if status == 201 and headers["Set-Cookie"] then
        written = { id = body:match("%d+"), cookie = headers["Set-Cookie"]:match("^[^;]*") }
    elseif status == 404 then
        stale_reads = stale_reads + 1
    end
end
function done()
    for _, thread in ipairs(threads) do
        print(thread:get("own_reads") .. " reads of own writes, " .. thread:get("stale_reads") .. " stale")
    end
end
