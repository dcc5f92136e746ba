//! The steps that must be one, as scripts. Each begins with the names of `keys.rs` as its first four arguments.

use redis::Script;

use crate::store::keys::LABEL;

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
  local children = redis.call('SMEMBERS', CHILDREN .. key)
  redis.call('DEL', CHILDREN .. key)
  for _, child in ipairs(children) do finish(child) end
end
local function lives_as_long(index, life)
  if redis.call('PTTL', index) < tonumber(life) then redis.call('PEXPIRE', index, life) end
end
"#;

/// Answers nil when the parent has ended. Sessions that expired are still in the subject's index and leave it here; the
/// oldest other than the new one end until the limit is kept: by another node's clock the new one may not be the newest.
const PUT: &str = r#"
local key, subject, value, now, life, absolute = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local max, replaces, parent, labels = tonumber(ARGV[11]), ARGV[12], ARGV[13], ARGV[14]
if parent ~= '' and redis.call('EXISTS', SESSION .. parent) == 0 then return nil end
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
if subject == '' then return ended end
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
    excess = excess - 1
  end
end
return ended
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
    pub(super) list: Script,
    pub(super) touch: Script,
    pub(super) count: Script,
    pub(super) meter: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let finishing = |rest: &str| Script::new(&format!("local LABEL = '{LABEL}'{FINISH}{rest}"));
        Self {
            put: finishing(PUT),
            delete: finishing(DELETE),
            delete_all: finishing(DELETE_ALL),
            delete_labelled: finishing(DELETE_LABELLED),
            list: Script::new(LIST),
            touch: Script::new(TOUCH),
            count: Script::new(COUNT),
            meter: Script::new(METER),
        }
    }
}
