#!/usr/bin/env bash
# The extreme case: kills every process below the supervisor and deletes everything in the runtime directory, while
# flags are read and set in the same instant. ROUNDS=N does it N times (1 unless said).
# Must hold: reads answer with the value that was set, the set succeeds, everything wanted is up again and there once.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-1}
flag=$(m flag list --json | jq -r .name | head -n 1)
[ -n "$flag" ] || fail 'the tree declares no flag'
old=$(m flag get "$flag" --json | jq -r .value)
directory=$(runtime)
if [ -z "$directory" ] || [ ! -d "$directory" ]; then fail "there is no runtime directory"; fi

for ((round = 1; round <= rounds; round++)); do
    value=on
    [ $((round % 2)) = 1 ] || value=off
    m flag set "$flag" "$value" >/dev/null || fail "cannot set $flag"
    cursor=$(m cursor)
    mapfile -t pids < <(m status --all --json | jq -r '.services[].pid | select(. != 0 and . != null)')
    kill -KILL "${pids[@]}" 2>/dev/null || true
    find "$directory" -mindepth 1 -delete 2>/dev/null || true
    status=0
    m flag on "$flag" || status=$?
    case $value:$status in
    on:0 | off:1) ;;
    *) fail "round $round: $flag is $value, and was read as exit $status" ;;
    esac
    m flag set "$flag" "$value" >/dev/null || fail "round $round: $flag could not be set while everything was dead"
    settled "$cursor"
done
m flag set "$flag" "$old" >/dev/null
holds "$rounds of $rounds rounds: all killed, all deleted, nothing lost"
