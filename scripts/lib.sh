# shellcheck shell=bash
# What the scripts share. They run against a live tree: that of this folder, or the one that
# MAINSTAY_CONFIG names; the program is `mainstay` from PATH, or what MAINSTAY names.
# They kill only processes that `mainstay` names, wait only for events, and say one clear line when
# something does not hold.

set -euo pipefail

program=${MAINSTAY:-mainstay}
timeout=${TIMEOUT:-60s}

m() { "$program" "$@"; }

fail() {
    printf '%s: FAILED: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

holds() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

# The services that are wanted up, one a line; with --all also the built-ins.
wanted() {
    m status "$@" --json | jq -r '.services[] | select(.wanted == "up" and .state != "finished") | .instance'
}

pid_of() { m pid "$1" 2>/dev/null || true; }

runtime() { dirname "$(m flag where --json | jq -r .board)"; }

# Every wanted service is up again after a cursor, and is there once.
settled() { # CURSOR
    local name
    while read -r name; do
        m wait "$name" --state up --after "$1" --timeout "$timeout" >/dev/null ||
            fail "$name is not up again within $timeout: $(m why "$name" 2>&1 || true)"
    done < <(wanted --all)
    m status --json >/dev/null || fail "status says that not all is as wanted: $(m status || true)"
    alone
}

# No wanted process is missing or doubled, and none is a zombie of the supervisor.
alone() {
    local supervisor name pid doubled zombies
    supervisor=$(m status --json | jq -r .supervisor_pid)
    while read -r name; do
        pid=$(pid_of "$name")
        [ -n "$pid" ] || fail "$name has no process"
        [ -d "/proc/$pid" ] || fail "$name should be pid $pid, which does not exist"
    done < <(wanted --all)
    doubled=$(children "$supervisor" | while read -r pid; do instance_of "$pid"; done | sort | uniq -d)
    [ -z "$doubled" ] || fail "there twice: $doubled"
    zombies=$(children "$supervisor" | while read -r pid; do
        awk -v pid="$pid" '/^State:/ && $2 == "Z" { print pid }' "/proc/$pid/status" 2>/dev/null || true
    done)
    # A zombie may be there for the moment between its death and its reaping: look again through an event.
    if [ -n "$zombies" ]; then
        m cursor >/dev/null
        for pid in $zombies; do
            if [ "$(awk '/^State:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" = Z ] &&
                [ "$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" = "$supervisor" ]; then
                fail "pid $pid is a zombie"
            fi
        done
    fi
}

children() { tr ' ' '\n' <"/proc/$1/task/$1/children" | grep -v '^$' || true; }

instance_of() {
    tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | sed -n 's/^MAINSTAY_INSTANCE=//p' || true
}

# The flags as `name=value`, sorted.
flags() { m flag list --json | jq -r '"\(.name)=\(.value)"' | sort; }

same_flags() { # BEFORE
    local now
    now=$(flags)
    [ "$now" = "$1" ] || fail "flags changed: $(diff <(printf '%s\n' "$1") <(printf '%s\n' "$now") | tr '\n' ' ')"
}

# A flag can be set and is read back by another process.
flags_work() {
    local name old
    name=$(m flag list --json | jq -r .name | head -n 1)
    [ -n "$name" ] || return 0
    old=$(m flag get "$name" --json | jq -r .value)
    m flag set "$name" on >/dev/null || fail "cannot set $name"
    m flag on "$name" || fail "$name was set to on, and reads as off"
    m flag set "$name" "$old" >/dev/null || fail "cannot set $name back to $old"
}
