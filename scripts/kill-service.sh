#!/usr/bin/env bash
# Kills one service with SIGKILL: the one that is named, or each in turn.
# Must hold: another process takes its place, everything else keeps its pid, flags are as before.
source "$(dirname "$0")/lib.sh"

before_flags=$(flags)
mapfile -t names < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else wanted; fi)
for name in "${names[@]}"; do
    declare -A others=()
    while read -r other; do others[$other]=$(pid_of "$other"); done < <(wanted --all)
    cursor=$(m cursor)
    old=$(pid_of "$name")
    [ -n "$old" ] || fail "$name has no process to kill"
    kill -KILL "$old"
    m wait "$name" --state up --after "$cursor" --timeout "$timeout" >/dev/null || fail "$name is not up again"
    new=$(pid_of "$name")
    [ "$new" != "$old" ] || fail "$name still has pid $old"
    for other in "${!others[@]}"; do
        [ "$other" = "$name" ] || [ "$(pid_of "$other")" = "${others[$other]}" ] || fail "$other has another pid"
    done
    m events --after "$cursor" --json |
        jq -e --arg name "$name" 'select(.kind == "exited" and .instance == $name and .signal == "SIGKILL")' >/dev/null ||
        fail "no event says that $name was killed"
    settled "$cursor"
    holds "$name: pid $old → $new, the others kept theirs"
done
same_flags "$before_flags"
