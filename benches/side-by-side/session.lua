-- What a careful nginx does for an authenticated request: the cookie's session is read from Redis over a pooled connection
-- and handed to the platform in a header that the visitor cannot set. RESP is spoken by hand: one GET needs no library.
local session = ngx.var.cookie_session
if not session then return ngx.exit(401) end

local redis = ngx.socket.tcp()
redis:settimeouts(1000, 1000, 1000)
if not redis:connect("127.0.0.1", REDIS_PORT) then return ngx.exit(503) end
local key = "session:" .. session
if not redis:send("*2\r\n$3\r\nGET\r\n$" .. #key .. "\r\n" .. key .. "\r\n") then return ngx.exit(503) end
local head = redis:receive("*l")
if not head then return ngx.exit(503) end
if head == "$-1" then
    redis:setkeepalive(60000, 64)
    return ngx.exit(401)
end
local record = redis:receive(tonumber(head:sub(2)) + 2)
if not record then return ngx.exit(503) end
redis:setkeepalive(60000, 64)
ngx.req.set_header("X-Session", record:sub(1, -3))
