#!/usr/bin/env bash
# Every check of the project, on a machine that has only Rust (rustup or Debian's): installs what it needs, then runs
# format, lints, documentation, all tests. Ends with one line that says how it went.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/packages.sh

# tool or file → Debian package that brings it
need_command cmake cmake
need_command cc gcc
need_command c++ g++
need_command make make
need_command perl perl
need_command pkg-config pkg-config
need_command redis-server redis-server
need_command nginx nginx
need_command chromium chromium
need_command chromedriver chromium-driver
need_command promtool prometheus
need_command openssl openssl
need_command curl curl
need_command pg_ctlcluster postgresql
need_command node nodejs
need_command npm npm
need_command setpriv util-linux
need_command apache2 apache2
need_file /usr/lib/apache2/modules/mod_auth_openidc.so libapache2-mod-auth-openidc
need_file /usr/share/fonts/truetype/wqy/wqy-zenhei.ttc fonts-wqy-zenhei
install_needed

step() {
    echo
    echo "== $*"
    current="$*"
    "$@"
}
current="the start"
trap 'code=$?; [ $code -eq 0 ] || echo "tests/run.sh: FAILED at: $current" >&2' EXIT

if ! cargo nextest --version >/dev/null 2>&1; then
    step cargo install cargo-nextest --locked
fi

step sh tests/oidc_provider/install.sh target/oidc_provider
step cargo fmt --check
step cargo clippy --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps --document-private-items --locked
step cargo nextest run --locked --cargo-quiet
step cargo test --doc --locked --quiet

echo
echo "tests/run.sh: all green"
