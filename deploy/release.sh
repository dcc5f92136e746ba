#!/usr/bin/env bash
# The released binary: profile-guided. Builds an instrumented gateway, lets it serve the load of benches/side-by-side (plain,
# signed in, TLS), and builds again, with link-time optimisation over everything, by what it learned. Ends with the path of the
# binary. Takes two release builds and a minute.
# Debian's llvm-22 reads the profiles of rustc 1.95; on bookworm it comes from the same archive as the other packages.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/packages.sh

need_command cmake cmake
need_command cc gcc
need_command llvm-profdata-22 llvm-22
install_needed

# Named, so that the flags count for the gateway alone and not for what runs while it is built.
machine=$(rustc -vV | sed -n 's/^host: //p')
profiles=$PWD/target/profiles
rm -rf "$profiles"
mkdir -p "$profiles"

build() { # FOLDER FLAGS
    RUSTFLAGS="$2" cargo build --release --locked --target "$machine" --target-dir "target/$1"
}

build instrumented "-Cprofile-generate=$profiles"
bash benches/side-by-side/run.sh --quick --tls --yimen "$PWD/target/instrumented/$machine/release/yimen"
llvm-profdata-22 merge -o "$profiles/merged.profdata" "$profiles"/*.profraw

CARGO_PROFILE_RELEASE_LTO=fat build guided "-Cprofile-use=$profiles/merged.profdata"
echo "target/guided/$machine/release/yimen"
