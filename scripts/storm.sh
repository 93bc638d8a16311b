#!/usr/bin/env bash
# A storm: KILLS random processes below the supervisor (200 unless said), services and built-ins, several at once, while a
# flag is set and read. SEED makes it the same storm again.
# Must hold: everything wanted is up again and there once, no zombie, flags are what was set last.
source "$(dirname "$0")/lib.sh"

kills=${KILLS:-200}
RANDOM=${SEED:-$$}
flag=$(m flag list --json | jq -r .name | head -n 1)
old=
[ -z "$flag" ] || old=$(m flag get "$flag" --json | jq -r .value)
cursor=$(m cursor)
killed=0
while [ "$killed" -lt "$kills" ]; do
    mapfile -t pids < <(m status --all --json | jq -r '.services[].pid | select(. != 0 and . != null)')
    for pid in "${pids[@]}"; do
        if [ $((RANDOM % 2)) = 0 ] && kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        fi
    done
    # A service that reaches its own limit is parked: that is its right. The operator starts it again.
    m start '*' --no-wait >/dev/null || fail 'cannot start what was parked'
    if [ -n "$flag" ]; then
        value=on
        [ $((RANDOM % 2)) = 0 ] || value=off
        m flag set "$flag" "$value" >/dev/null || fail "cannot set $flag"
        [ "$(m flag get "$flag" --json | jq -r .value)" = "$value" ] || fail "$flag is not $value"
    fi
done
m start '*' --timeout "$timeout" >/dev/null || fail 'not everything is up again'
settled "$cursor"
[ -z "$flag" ] || m flag set "$flag" "$old" >/dev/null
holds "$killed processes killed, all wanted are there once"
