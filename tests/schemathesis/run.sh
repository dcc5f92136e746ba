#!/usr/bin/env bash
# Random calls against the management API of a gateway made for it: by the document, against the document, and in any order.
# Needs python3 with venv, and the program built (`cargo build`). Seconds to go on: first argument, 120.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$here/../.."
yimen="${YIMEN:-$root/target/debug/yimen}"
folder="$(mktemp -d)"
trap 'kill "${gateway:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT

python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet 'schemathesis==4.32.5'
mkdir -p "$folder/routes/platforms" "$folder/data"
cp "$root"/routes/*.csv* "$folder/routes/"
cat > "$folder/yimen.toml" <<'END'
[public]
listen = "127.0.0.1:31443"
hosts = ["127.0.0.1"]
origin = "http://127.0.0.1:31443"
plaintext = true
[data]
directory = "data"
[routes]
directory = "routes"
[management]
listen = "127.0.0.1:31444"
[metrics]
listen = "127.0.0.1:31445"
END
token="$("$yimen" token issue --config "$folder/yimen.toml" --role operator --division 100000)"
"$yimen" serve --config "$folder/yimen.toml" >"$folder/out" 2>&1 &
gateway=$!
until curl -sf http://127.0.0.1:31445/ready >/dev/null; do kill -0 "$gateway"; sleep 0.1; done
cd "$folder"
# Without revocation: sooner or later a run would end its own token, and be refused from then on.
"$folder/python/bin/schemathesis" --config-file "$here/schemathesis.toml" run http://127.0.0.1:31444/openapi.json \
    -H "Authorization: Bearer $token" --max-time "${1:-120}" --exclude-operation-id revokeToken --continue-on-failure
