#!/usr/bin/env bash
# The released binary: guided by profiles, twice. Builds an instrumented gateway, lets it serve the load of benches/side-by-side
# (plain, signed in, TLS), and builds again, with link-time optimisation over everything, by what it learned. Then BOLT puts the
# code that ran close together, after the same load once more. Ends with the path of the binary. Takes two release builds and
# two minutes.
# Debian's llvm-22 reads the profiles of rustc 1.95; on bookworm it comes from the same archive as the other packages.
#   bash deploy/release.sh [CPU]    CPU: what the binary may ask of a machine, as rustc's -Ctarget-cpu names it. On x86-64 it is
# x86-64-v3 unless said otherwise (AVX2: Intel since 2013, AMD and Hygon since their first Zen); x86-64 runs everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/packages.sh

need_command cmake cmake
need_command cc gcc
need_command llvm-profdata-22 llvm-22
need_command llvm-bolt-22 bolt-22
install_needed

# Named, so that the flags count for the gateway alone and not for what runs while it is built.
machine=$(rustc -vV | sed -n 's/^host: //p')
case $machine in
x86_64-*) cpu=${1:-x86-64-v3} ;;
*) cpu=${1:-generic} ;;
esac
profiles=$PWD/target/profiles
rm -rf "$profiles"
mkdir -p "$profiles"

build() { # FOLDER FLAGS
    RUSTFLAGS="-Ctarget-cpu=$cpu $2" cargo build --release --locked --target "$machine" --target-dir "target/$1"
}

serve_the_load() { # BINARY
    bash benches/side-by-side/run.sh --quick --tls --yimen "$1"
}

build instrumented "-Cprofile-generate=$profiles"
serve_the_load "$PWD/target/instrumented/$machine/release/yimen"
llvm-profdata-22 merge -o "$profiles/merged.profdata" "$profiles"/*.profraw

# BOLT moves code, so it needs to know every place that points into it.
CARGO_PROFILE_RELEASE_LTO=fat build guided "-Cprofile-use=$profiles/merged.profdata -Clink-arg=-Wl,--emit-relocs"
guided=target/guided/$machine/release

llvm-bolt-22 "$guided/yimen" -o "$guided/yimen-watched" -instrument \
    -instrumentation-file="$profiles/layout" -instrumentation-file-append-pid
serve_the_load "$PWD/$guided/yimen-watched"
merge-fdata-22 "$profiles"/layout.*.fdata -o "$profiles/layout.fdata"
llvm-bolt-22 "$guided/yimen" -o "$guided/yimen-laid-out" -data="$profiles/layout.fdata" \
    -reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions -split-strategy=cdsplit -split-all-cold -split-eh -icf=1 \
    -plt=hot -peepholes=all -jump-tables=move -frame-opt=hot -simplify-rodata-loads
echo "$guided/yimen-laid-out"
