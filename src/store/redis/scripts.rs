//! The steps that must be one, as scripts. Each begins with the names of `keys.rs` as its first four arguments.

use redis::Script;

use crate::store::keys::{LABEL, SIGN_OFFS, SIGN_ON, SIGN_ONS};

/// `finish(key)`: ends a session, its place in every index, and its children, and publishes each. Publishes a session that is
/// not there too: another node may still hold it. The children's index goes first, so that even a circle would end.
const FINISH: &str = r#"
local SESSION, SUBJECT, CHILDREN, NOTICES = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ended = {}
local function finish(key)
  local record = redis.call('HMGET', SESSION .. key, 'subject', 'parent', 'labels')
  if record[1] and record[1] ~= '' then redis.call('ZREM', SUBJECT .. record[1], key) end
  if record[2] and record[2] ~= '' then redis.call('SREM', CHILDREN .. record[2], key) end
  for label in string.gmatch(record[3] or '', '%S+') do redis.call('SREM', LABEL .. label, key) end
  if redis.call('DEL', SESSION .. key) == 1 then ended[#ended + 1] = key end
  redis.call('PUBLISH', NOTICES, key)
  leave(key)
  local children = redis.call('SMEMBERS', CHILDREN .. key)
  redis.call('DEL', CHILDREN .. key)
  for _, child in ipairs(children) do finish(child) end
end
local function lives_as_long(index, life)
  if redis.call('PTTL', index) < tonumber(life) then redis.call('PEXPIRE', index, life) end
end
"#;

/// `leave(key)`: the sign-ons of a session that ended wait to be told, the newest of them where there are too many;
/// `carry(from, to, life)`: they go over to the session that replaces it.
const SIGN_ONS_OF: &str = r#"
local SIGN_OFFS_MAX, SIGN_OFFS_LIFE = 10000, 3600000
local function leave(key)
  for _, on in ipairs(redis.call('HVALS', SIGN_ONS .. key)) do
    local value = redis.call('HGET', SIGN_ON .. on, 'value')
    if value then redis.call('RPUSH', SIGN_OFFS, value) end
    redis.call('DEL', SIGN_ON .. on)
  end
  if redis.call('DEL', SIGN_ONS .. key) == 1 then
    redis.call('LTRIM', SIGN_OFFS, -SIGN_OFFS_MAX, -1)
    redis.call('PEXPIRE', SIGN_OFFS, SIGN_OFFS_LIFE)
  end
end
local function carry(from, to, life)
  local sign_ons = redis.call('HVALS', SIGN_ONS .. from)
  if #sign_ons == 0 then return end
  for _, on in ipairs(sign_ons) do
    if redis.call('EXISTS', SIGN_ON .. on) == 1 then
      redis.call('HSET', SIGN_ON .. on, 'parent', to)
      redis.call('PEXPIRE', SIGN_ON .. on, life)
    end
  end
  redis.call('RENAME', SIGN_ONS .. from, SIGN_ONS .. to)
  redis.call('PEXPIRE', SIGN_ONS .. to, life)
end
"#;

/// Answers nil when the parent, or the session that goes on, has ended, else all that ended and those that had to make room. Sessions that expired are still
/// in the subject's index and leave it here; the oldest other than the new one end until the limit is kept: by another node's clock the new one may not be the newest.
const PUT: &str = r#"
local key, subject, value, now, life, absolute = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local max, replaces, parent, labels, carries = tonumber(ARGV[11]), ARGV[12], ARGV[13], ARGV[14], ARGV[15]
local goes_on = ARGV[16]
if parent ~= '' and redis.call('EXISTS', SESSION .. parent) == 0 then return nil end
if goes_on == '1' and redis.call('EXISTS', SESSION .. replaces) == 0 then return nil end
if replaces ~= '' and carries == '1' then carry(replaces, key, absolute) end
if replaces ~= '' then finish(replaces) end
if parent ~= '' then
  subject = ''
  redis.call('SADD', CHILDREN .. parent, key)
  lives_as_long(CHILDREN .. parent, absolute)
end
redis.call('HSET', SESSION .. key, 'value', value, 'seen', now, 'subject', subject, 'parent', parent, 'labels', labels)
for label in string.gmatch(labels, '%S+') do
  local index = LABEL .. label
  for _, other in ipairs(redis.call('SMEMBERS', index)) do
    if redis.call('EXISTS', SESSION .. other) == 0 then redis.call('SREM', index, other) end
  end
  redis.call('SADD', index, key)
  lives_as_long(index, absolute)
end
redis.call('PEXPIRE', SESSION .. key, life)
local above = {}
if subject == '' then return { ended, above } end
local index = SUBJECT .. subject
for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if redis.call('EXISTS', SESSION .. other) == 0 then redis.call('ZREM', index, other) end
end
redis.call('ZADD', index, now, key)
lives_as_long(index, absolute)
local excess = redis.call('ZCARD', index) - max
for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if excess > 0 and other ~= key then
    finish(other)
    above[#above + 1] = other
    excess = excess - 1
  end
end
return { ended, above }
"#;

const DELETE: &str = "finish(ARGV[5]) return ended";

const DELETE_ALL: &str = r#"
for _, key in ipairs(redis.call('ZRANGE', SUBJECT .. ARGV[5], 0, -1)) do
  if key ~= ARGV[6] then
    finish(key)
    redis.call('ZREM', SUBJECT .. ARGV[5], key)
  end
end
return ended
"#;

const DELETE_LABELLED: &str = r#"
for _, key in ipairs(redis.call('SMEMBERS', LABEL .. ARGV[5])) do finish(key) end
redis.call('DEL', LABEL .. ARGV[5])
return ended
"#;

/// Answers nil when the session has ended, else the value of the client's one sign-on there.
const SIGN_ON_TO: &str = r#"
local parent, client, key, value, life = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if redis.call('EXISTS', SESSION .. parent) == 0 then return nil end
local known = redis.call('HGET', SIGN_ONS .. parent, client)
local there = known and redis.call('HGET', SIGN_ON .. known, 'value')
if there then return there end
redis.call('HSET', SIGN_ON .. key, 'value', value, 'parent', parent)
redis.call('PEXPIRE', SIGN_ON .. key, life)
redis.call('HSET', SIGN_ONS .. parent, client, key)
lives_as_long(SIGN_ONS .. parent, life)
return value
"#;

const LIST: &str = r#"
local rows = {}
for _, key in ipairs(redis.call('ZRANGE', ARGV[2] .. ARGV[5], 0, -1)) do
  local record = redis.call('HMGET', ARGV[1] .. key, 'value', 'seen')
  if record[1] then rows[#rows + 1] = { key, record[1], record[2] } end
end
return rows
"#;

/// Never makes a session that is gone, and never moves back.
const TOUCH: &str = r#"
local key = ARGV[1] .. ARGV[5]
local seen = redis.call('HGET', key, 'seen')
if not seen then return 0 end
if tonumber(ARGV[6]) > tonumber(seen) then redis.call('HSET', key, 'seen', ARGV[6]) end
if redis.call('PTTL', key) < tonumber(ARGV[7]) then redis.call('PEXPIRE', key, ARGV[7]) end
return 1
"#;

const COUNT: &str = r#"
local counted = redis.call('INCR', KEYS[1])
if counted == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return counted
"#;

/// Answers whether it was let through, and how many microseconds are spoken for. A double holds microseconds until the year 2255.
const METER: &str = r#"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or now)
if due < now or due > now + tolerance then due = now end
if due + interval - now > tolerance then return { 0, due - now } end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return { 1, due - now }
"#;

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) put: Script,
    pub(super) delete: Script,
    pub(super) delete_all: Script,
    pub(super) delete_labelled: Script,
    pub(super) sign_on: Script,
    pub(super) list: Script,
    pub(super) touch: Script,
    pub(super) count: Script,
    pub(super) meter: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let names =
            format!("local LABEL, SIGN_ON, SIGN_ONS, SIGN_OFFS = '{LABEL}', '{SIGN_ON}', '{SIGN_ONS}', '{SIGN_OFFS}'");
        let finishing = |rest: &str| Script::new(&format!("{names}{SIGN_ONS_OF}{FINISH}{rest}"));
        Self {
            put: finishing(PUT),
            delete: finishing(DELETE),
            delete_all: finishing(DELETE_ALL),
            delete_labelled: finishing(DELETE_LABELLED),
            sign_on: finishing(SIGN_ON_TO),
            list: Script::new(LIST),
            touch: Script::new(TOUCH),
            count: Script::new(COUNT),
            meter: Script::new(METER),
        }
    }
}
