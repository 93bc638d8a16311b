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

# `status` as JSON, whether all is as wanted (0) or not (3).
status() {
    local code=0
    m status "$@" --json || code=$?
    case $code in 0 | 3) ;; *) fail "status exits $code" ;; esac
}

# The instances that are wanted up, one a line; with --all also the built-ins.
wanted() { status "$@" | jq -r '.services[] | select(.wanted == "up" and .state != "finished") | .instance'; }

# `INSTANCE PID INCARNATION` of everything that has a process, built-ins too, one a line.
living() { status --all | jq -r '.services[] | select((.pid // 0) != 0) | "\(.instance) \(.pid) \(.incarnation)"'; }

# Nothing when it has no process; `mainstay` says why.
pid_of() { m pid "$1" || true; }

runtime() { dirname "$(m flag where --json | jq -r .board)"; }

# SIGKILL to processes that have just been named. One that is already gone has an exit of its own.
kill_now() {
    local pid
    for pid; do kill -KILL "$pid" 2>/dev/null || true; done
}

# Waits until the supervisor has said of each of these pids, after a cursor, that it exited. What is up
# after that is up again.
exited() { # CURSOR PID...
    local cursor=$1 line pid reader news
    local -A open=()
    shift
    for pid; do open[$pid]=1; done
    exec {news}< <(exec timeout --signal=KILL "$timeout" "$program" events --after "$cursor" --follow --json)
    reader=$!
    while [ "${#open[@]}" -gt 0 ]; do
        IFS= read -r line <&"$news" || fail "no event after $cursor says that pid ${!open[*]} exited"
        case $line in
        *'"kind":"exited"'*) unset "open[$(jq -r .pid <<<"$line")]" ;;
        *'"kind":"missed"'*) fail "the ring of events was too short: $line" ;;
        esac
    done
    kill "$reader" 2>/dev/null || true
    wait "$reader" 2>/dev/null || true
    exec {news}<&-
}

# Everything that is wanted is up, and there once.
settled() {
    local names
    mapfile -t names < <(wanted --all)
    m wait "${names[@]}" --state up --timeout "$timeout" >/dev/null || fail "not all is up again: $(m status || true)"
    m status >/dev/null || fail "status says that not all is as wanted: $(m status || true)"
    alone
}

# Nothing wanted is missing, nothing is left of an earlier life, nothing is a zombie.
alone() {
    local name pid life directory other supervisor
    local -A lives=()
    while read -r name pid life; do
        [ -d "/proc/$pid" ] || fail "$name should be pid $pid, which does not exist"
        lives[$name]=$life
    done < <(living)
    while read -r name; do
        [ -n "${lives[$name]:-}" ] || fail "$name has no process"
    done < <(wanted --all)
    # Every process of the tree carries its instance and its life, helpers as well.
    directory=$(runtime)
    while read -r pid; do
        name=$(variable "$pid" MAINSTAY_INSTANCE)
        other=$(variable "$pid" MAINSTAY_INCARNATION)
        if [ -z "$other" ] || [ -z "${lives[$name]:-}" ]; then continue; fi
        [ "$other" = "${lives[$name]}" ] || fail "pid $pid is $name in life $other, which should be life ${lives[$name]}"
    done < <(marked "$directory")
    supervisor=$(status | jq -r .supervisor_pid)
    for pid in $(children "$supervisor"); do zombie "$pid" "$supervisor"; done
}

# The processes that carry this runtime directory, one a line; a dead one carries nothing.
marked() { # DIRECTORY
    grep -lsxz "MAINSTAY_RUNTIME_DIR=$1" /proc/[0-9]*/environ | cut -d / -f 3 || true
}

variable() { # PID NAME
    { tr '\0' '\n' <"/proc/$1/environ"; } 2>/dev/null | sed -n "s/^$2=//p" || true
}

children() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

# Fails when a process stays a zombie of the supervisor, which reaps before it answers whoever asks next.
zombie() { # PID SUPERVISOR
    is_zombie() { grep -qs '^State:[[:space:]]*Z' "/proc/$1/status" && grep -qsx "PPid:[[:space:]]*$2" "/proc/$1/status"; }
    is_zombie "$@" || return 0
    m cursor >/dev/null
    ! is_zombie "$@" || fail "pid $1 stays a zombie"
}

# Makes a folder and points mainstay at it: a project of our own, taken down at the end, however that comes.
own_project() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/mainstay-scripts-XXXXXX")
    export RUNTIME_DIRECTORY=$folder/run STATE_DIRECTORY=$folder/state LOGS_DIRECTORY=$folder/log
    export MAINSTAY_CONFIG=$folder/mainstay.toml
    trap take_down EXIT
}

take_down() {
    local code=$? one
    trap - EXIT
    # A second signal, as `timeout` sends to a whole group, must not stop the taking down.
    trap '' HUP INT TERM
    for one in $(jobs -p); do kill "$one" 2>/dev/null || true; done
    m shutdown --timeout 30s >/dev/null 2>&1 || true
    for one in $(marked "$RUNTIME_DIRECTORY"); do kill_now "$one"; done
    rm -rf "$folder"
    exit "$code"
}

# Shuts our own project down; nothing of it may be left.
end_project() {
    local supervisor one now all=()
    supervisor=$(status | jq -r .supervisor_pid)
    for one in "$supervisor" $(descendants "$supervisor"); do all+=("$one:$(born "$one")"); done
    m shutdown --timeout "$timeout" >/dev/null || fail 'shutdown does not end'
    for one in "${all[@]}"; do
        now=$(born "${one%:*}")
        [ -z "$now" ] || [ "${one#*:}" != "$now" ] || fail "pid ${one%:*} is left: $(tr '\0' ' ' <"/proc/${one%:*}/cmdline")"
    done
    [ -z "$(marked "$RUNTIME_DIRECTORY")" ] || fail "processes are left: $(marked "$RUNTIME_DIRECTORY")"
}

descendants() { # PID
    local child
    for child in $(children "$1"); do
        echo "$child"
        descendants "$child"
    done
}

# When a process started: with the pid, its identity. Nothing when it has ended, whoever should reap it.
born() { { sed 's/.*) //' <"/proc/$1/stat" | awk '$1 != "Z" && $1 != "X" { print $20 }'; } 2>/dev/null || true; }

# The flags as `name=value`, sorted.
flags() { m flag list --json | jq -r '"\(.name)=\(.text)"' | sort; }

# The first flag, or nothing when the tree declares none.
first_flag() { m flag list --json | jq -rs '.[0].name // empty'; }

flag_text() { m flag get "$1"; }

same_flags() { # BEFORE
    local now
    now=$(flags)
    [ "$now" = "$1" ] || fail "flags changed: $(diff <(printf '%s\n' "$1") <(printf '%s\n' "$now") | tr '\n' ' ')"
}

# A flag can be set and is read back by another process.
flags_work() {
    local name old
    name=$(first_flag)
    [ -n "$name" ] || return 0
    old=$(flag_text "$name")
    m flag set "$name" on >/dev/null || fail "cannot set $name"
    m flag on "$name" || fail "$name was set to on, and reads as off"
    m flag set "$name" "$old" >/dev/null || fail "cannot set $name back to $old"
}
