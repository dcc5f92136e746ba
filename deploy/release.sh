#!/usr/bin/env bash
# The released binary: profile-guided. Builds an instrumented gateway, lets it serve the load of benches/side-by-side (plain,
# signed in, TLS), and builds again with what it learned. Ends with the path of the binary. Takes two release builds and a minute.
# Debian's llvm-22 reads the profiles of rustc 1.95; on bookworm it comes from the same archive as the other packages.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/packages.sh

need_command cmake cmake
need_command cc gcc
need_command llvm-profdata-22 llvm-22
install_needed

profiles=$PWD/target/profiles
rm -rf "$profiles"
mkdir -p "$profiles"

RUSTFLAGS="-Cprofile-generate=$profiles" cargo build --release --locked --target-dir target/instrumented
bash benches/side-by-side/run.sh --quick --tls --yimen "$PWD/target/instrumented/release/yimen"
llvm-profdata-22 merge -o target/profiles/merged.profdata "$profiles"/*.profraw

RUSTFLAGS="-Cprofile-use=$profiles/merged.profdata" cargo build --release --locked --target-dir target/guided
echo "target/guided/release/yimen"
