-- wrk: mostly reads; every WRITE_EVERY-th request is a write, which the replica cannot take. Each
-- connection pauses THINK_MS between requests, as a machine that is busy with its load generator
-- would show only that.
local every = tonumber(os.getenv("WRITE_EVERY") or "0")
local think_ms = tonumber(os.getenv("THINK_MS") or "0")
local prefix = os.getenv("ROUTE_PREFIX") or ""
local count = 0
function delay()
    return think_ms
end
function request()
    count = count + 1
    if every > 0 and count % every == 0 then
        return wrk.format("POST", "/orders", nil, "from wrk " .. count)
    end
    return wrk.format("GET", prefix .. "/orders/" .. math.random(1, 1000))
end
