#!/usr/bin/env bash
# Kills each built-in service of mainstay with SIGKILL, ten times.
# Must hold: it is back, no service noticed, flags are as before and can be set.
source "$(dirname "$0")/lib.sh"

before_flags=$(flags)
services() { living | grep -v '^mainstay\.'; }
before=$(services)
mapfile -t builtins < <(wanted --all | grep '^mainstay\.')
[ "${#builtins[@]}" -gt 0 ] || fail 'there is no built-in service'
for name in "${builtins[@]}"; do
    for _ in {1..10}; do
        cursor=$(m cursor)
        kill -KILL "$(pid_of "$name")"
        m wait "$name" --state up --after "$cursor" --timeout "$timeout" >/dev/null || fail "$name is not up again"
    done
    flags_work
    holds "$name came back 10 times of 10"
done
settled
[ "$(services)" = "$before" ] || fail "a service has another pid: $(diff <(printf '%s\n' "$before") <(services) | tr '\n' ' ')"
same_flags "$before_flags"
