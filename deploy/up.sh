#!/usr/bin/env bash
# From a bare Debian machine with Rust to a running demo: installs what the build needs, builds, runs `yimen demo`.
# Arguments go to the demo: `bash deploy/up.sh --listen 127.0.0.1:9443`. Ctrl-C or SIGTERM ends all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/packages.sh

if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing; install it from https://rustup.rs and start this again" >&2
    exit 69
fi

need_command cmake cmake
need_command cc gcc
need_command c++ g++
need_command make make
need_command perl perl
need_command pkg-config pkg-config
install_needed

cargo build --release --locked
exec target/release/yimen demo "$@"
