#!/usr/bin/env bash
# A storm: KILLS random processes below the supervisor (200 unless said), services and built-ins, several at once, while a
# flag is set and read. SEED makes it the same storm again.
# Must hold: everything wanted is up again and there once, no zombie, flags are what was set last.
source "$(dirname "$0")/lib.sh"

kills=${KILLS:-200}
seed=${SEED:-$$}
RANDOM=$seed
flag=$(first_flag)
old=
[ -z "$flag" ] || old=$(flag_text "$flag")
killed=0
while [ "$killed" -lt "$kills" ]; do
    cursor=$(m cursor)
    mapfile -t pids < <(living | cut -d ' ' -f 2)
    struck=()
    for pid in "${pids[@]}"; do
        if [ $((RANDOM % 2)) = 0 ] && kill -KILL "$pid" 2>/dev/null; then struck+=("$pid"); fi
    done
    killed=$((killed + ${#struck[@]}))
    # A service that reaches its own limit is parked: that is its right. The operator starts it again.
    m start '*' --no-wait >/dev/null || fail "seed $seed: cannot start what was parked"
    if [ -n "$flag" ]; then
        value=on
        [ $((RANDOM % 2)) = 0 ] || value=off
        m flag set "$flag" "$value" >/dev/null || fail "seed $seed: cannot set $flag"
        [ "$(flag_text "$flag")" = "$value" ] || fail "seed $seed: $flag is not $value"
    fi
done
[ "${#struck[@]}" = 0 ] || exited "$cursor" "${struck[@]}"
m start '*' --timeout "$timeout" >/dev/null || fail "seed $seed: not everything is up again"
settled
if [ -n "$flag" ]; then
    [ "$(flag_text "$flag")" = "$value" ] || fail "seed $seed: $flag is not $value, which was set last"
    m flag set "$flag" "$old" >/dev/null
fi
holds "$killed processes killed (seed $seed), all wanted are there once"
