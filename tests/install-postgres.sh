#!/usr/bin/env bash
# Makes sure that the tests and the demo have what they need besides Rust: PostgreSQL's server
# programs and a C compiler (SQLite, zstd and ring are compiled from source). Does nothing where
# they are there; otherwise installs Debian's packages. No server is started, none is set up.
set -euo pipefail

has_postgres() {
    local bin bins=(/usr/lib/postgresql/*/bin)
    [ -z "${TAILWATER_PG_BIN:-}" ] || bins=("$TAILWATER_PG_BIN")
    for bin in "${bins[@]}"; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && [ -x "$bin/pgbench" ] && return 0
    done
    return 1
}

# A compiler without the C library's headers compiles nothing.
has_compiler() {
    command -v cc >/dev/null && echo '#include <stdlib.h>' | cc -E -x c - >/dev/null 2>&1
}

fail() {
    printf 'install-postgres.sh: %s\n' "$@" >&2
    exit 1
}

if [ -n "${TAILWATER_PG_BIN:-}" ] && ! has_postgres; then
    fail "TAILWATER_PG_BIN=$TAILWATER_PG_BIN has no initdb, postgres and pgbench" \
        "set it to the folder that holds them, or unset it to have Debian's installed"
fi

missing=()
has_postgres || missing+=(postgresql)
has_compiler || missing+=(gcc libc6-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

what="${missing[*]}"
command -v apt-get >/dev/null || fail "this machine lacks: $what" \
    "it has no apt-get: install them by hand; for PostgreSQL set TAILWATER_PG_BIN to the folder of initdb"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "this machine lacks: $what" \
        "run as root: apt-get install --no-install-recommends $what"
    as_root=(sudo)
    # Without a person at the keyboard, sudo must not ask.
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true || fail "sudo was refused" \
        "run as root: apt-get install --no-install-recommends $what"
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
}

echo "Installing from Debian: $what" >&2
"${as_root[@]}" apt-get update </dev/null || fail "apt-get update failed: is there a network?"
if ! has_postgres; then
    # Debian would set up and start a server at once; ours live in temporary folders.
    install postgresql-common || fail "apt-get cannot install postgresql-common"
    conf=/etc/postgresql-common/createcluster.conf
    if ! grep -qs '^ *create_main_cluster' "$conf"; then
        echo 'create_main_cluster = false' | "${as_root[@]}" tee -a "$conf" >/dev/null
    fi
fi
install "${missing[@]}" || fail "apt-get cannot install: $what"
has_postgres || fail "PostgreSQL was installed, but there is no /usr/lib/postgresql/*/bin/initdb"
has_compiler || fail "a compiler was installed, but cc does not work"
