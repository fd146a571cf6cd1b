# Shared by the scripts in bin/; sourced, never run.
# shellcheck shell=bash

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly root

# Debian keeps haproxy in /usr/sbin, which is not in every user's path.
export PATH="$PATH:/usr/sbin:/sbin"

log() { printf -- '** %s\n' "$*" >&2; }
fatal() {
    printf -- '** ERROR: %s\n' "$*" >&2
    exit 1
}

# What every release build is made with, so that build, test and demo share one set of objects: changing one flag
# between two of them would compile everything again.
release_flags=(
    --package-path "$root"
    --configuration release
    --explicit-target-dependency-import-check error
    -Xswiftc -enable-testing
)
readonly release_flags

# swift_build OPTIONS...: as all release builds. SwiftPM names the traits of a package in the order of a set, which a seeded
# hash makes another one half of the time: SwiftProtobuf would be compiled again after every change of the targets.
swift_build() { SWIFT_DETERMINISTIC_HASHING=1 swift build "${release_flags[@]}" "$@"; }

# seconds_since START: whole seconds on a clock that nobody adjusts (bash's own counter).
seconds_since() { printf '%d' "$((SECONDS - $1))"; }
