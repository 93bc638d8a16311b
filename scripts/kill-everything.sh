#!/usr/bin/env bash
# The extreme case: kills every process below the supervisor and deletes everything in the runtime directory, while
# flags are read and set in the same instant. ROUNDS=N does it N times (1 unless said).
# Must hold: reads answer with the value that was set, the set succeeds, everything wanted is up again and there once.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-1}
flag=$(first_flag)
[ -n "$flag" ] || fail 'the tree declares no flag'
old=$(flag_text "$flag")
directory=$(runtime)
if [ -z "$directory" ] || [ ! -d "$directory" ]; then fail 'there is no runtime directory'; fi

for ((round = 1; round <= rounds; round++)); do
    value=on other=off
    [ $((round % 2)) = 1 ] || value=off other=on
    m flag set "$flag" "$value" >/dev/null || fail "round $round: cannot set $flag"
    cursor=$(m cursor)
    mapfile -t pids < <(living | cut -d ' ' -f 2)
    kill_now "${pids[@]}"
    find "$directory" -mindepth 1 -delete 2>/dev/null || true
    answer=0
    m flag on "$flag" || answer=$?
    case $value:$answer in
    on:0 | off:1) ;;
    *) fail "round $round: $flag is $value, and was read as exit $answer" ;;
    esac
    m flag set "$flag" "$other" >/dev/null || fail "round $round: $flag could not be set while everything was dead"
    [ "$(flag_text "$flag")" = "$other" ] || fail "round $round: $flag was set to $other, and does not read so"
    exited "$cursor" "${pids[@]}"
    settled
done
m flag set "$flag" "$old" >/dev/null
holds "$rounds of $rounds rounds: all killed, all deleted, nothing lost"
