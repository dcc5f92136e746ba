#!/bin/sh
# Installs the identity platform of the tests into a folder (default: target/oidc_provider), exactly as the lock file says.
# Tests that start together wait for one another.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/../../target/oidc_provider}
mkdir -p "$to"
exec 9>"$to/.lock"
flock 9
cp "$here/provider.mjs" "$to/"
if cmp -s "$here/package-lock.json" "$to/.installed"; then
    exit 0
fi
cp "$here/package.json" "$here/package-lock.json" "$to/"
cd "$to"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
cp package-lock.json .installed
