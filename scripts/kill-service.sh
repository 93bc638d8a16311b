#!/usr/bin/env bash
# Kills one service with SIGKILL: the one that is named, or each in turn.
# Must hold: another process takes its place, everything that does not fall with it (by its group's
# strategy) keeps its pid, nothing is left of the life before, flags are as before.
source "$(dirname "$0")/lib.sh"

before_flags=$(flags)
mapfile -t names < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else wanted; fi)
for name in "${names[@]}"; do
    cursor=$(m cursor)
    before=$(living)
    old=$(pid_of "$name")
    [ -n "$old" ] || fail "$name has no process to kill"
    kill -KILL "$old"
    m wait "$name" --state up --after "$cursor" --timeout "$timeout" >/dev/null || fail "$name is not up again"
    settled
    new=$(pid_of "$name")
    [ "$new" != "$old" ] || fail "$name still has pid $old"
    events=$(m events --after "$cursor" --json)
    jq -en --arg name "$name" 'first(inputs | select(.kind == "exited" and .instance == $name)).signal == "SIGKILL"' \
        <<<"$events" >/dev/null || fail "no event says that $name was killed"
    # Who was asked to stop fell with it, on purpose; everybody else stays.
    fell=$(jq -r 'select(.kind == "exited" and .asked) | .instance' <<<"$events")
    while read -r other pid _; do
        if [ "$other" = "$name" ] || grep -qxF "$other" <<<"$fell"; then continue; fi
        [ "$(pid_of "$other")" = "$pid" ] || fail "$other is not pid $pid any more"
    done <<<"$before"
    holds "$name: pid $old → $new${fell:+, fell with it: ${fell//$'\n'/ }}; the others kept theirs"
done
same_flags "$before_flags"
