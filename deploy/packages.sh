# Sourced by the scripts that need Debian packages: collect what is missing, install it in one go, start nothing.
# shellcheck shell=bash

missing_packages=()

# need_command TOOL PACKAGE: PACKAGE brings TOOL.
need_command() {
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing_packages+=("$2")
}

# need_file PATH PACKAGE: PACKAGE brings the file.
need_file() {
    [ -e "$1" ] || missing_packages+=("$2")
}

# Installs what was found missing. Services that packages bring (Redis, Prometheus, nginx) are not started: while apt runs,
# a policy says so, which is how Debian wants it said; ours is removed afterwards.
install_needed() {
    [ "${#missing_packages[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing, and this is no Debian: install by hand what these packages bring: ${missing_packages[*]}" >&2
        exit 69
    fi
    local root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            echo "missing: ${missing_packages[*]}; run as root: apt-get install -y ${missing_packages[*]}" >&2
            exit 69
        }
        root=(sudo)
    fi
    echo "== installing ${missing_packages[*]}"
    local policy=/usr/sbin/policy-rc.d ours=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
        ours=yes
    fi
    local status=0
    {
        "${root[@]}" apt-get update -q &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing_packages[@]}"
    } || status=$?
    [ "$ours" = no ] || "${root[@]}" rm -f "$policy"
    if [ "$status" != 0 ]; then
        echo "these packages could not be installed: ${missing_packages[*]}; see apt's own message above" >&2
        exit 69
    fi
}
