#!/usr/bin/env bash
# CPU per request of yimen beside nginx, in one run on one machine. Installs what it needs on Debian, builds the release
# binary, measures. `--quick` for a first look; all options: `run.sh --help`.
set -euo pipefail
cd "$(dirname "$0")/../.."

source deploy/packages.sh

need_command nginx nginx
need_file /usr/lib/nginx/modules/ngx_http_lua_module.so libnginx-mod-http-lua
need_command wrk wrk
need_command redis-server redis-server
need_command python3 python3
need_command openssl openssl
need_command taskset util-linux
install_needed

case " $* " in
*" --help "* | *" --without-yimen "* | *" --yimen "*) ;;
*) cargo build --release --locked ;;
esac
exec python3 benches/side-by-side/measure.py "$@"
