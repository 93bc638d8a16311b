#!/usr/bin/env bash
# Three real processes die of a flag that somebody turned on (examples/guarded). A tree of its own.
# Must hold: the guard takes the flag back, all three are up again without anybody doing anything, the flag cannot be
# set again, and the log of changes and the crash reports name the change.
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

own_project
export MAINSTAY_CONFIG=$here/../examples/guarded/mainstay.toml MAINSTAY=$program
case $program in */*) MAINSTAY=$(cd "$(dirname "$program")" && pwd)/$(basename "$program") ;; esac
program=$MAINSTAY

# The first event of this kind after a cursor, as JSON.
event() { # CURSOR KIND
    local line news reader
    exec {news}< <(exec timeout --signal=KILL "$timeout" "$program" events --after "$1" --follow --json)
    reader=$!
    while :; do
        IFS= read -r line <&"$news" || fail "there is no event $2 after $1: $(m events --after "$1" || true)"
        case $line in
        *"\"kind\":\"$2\""*) break ;;
        *'"kind":"missed"'*) fail "the ring of events was too short: $line" ;;
        esac
    done
    kill "$reader" 2>/dev/null || true
    wait "$reader" 2>/dev/null || true
    exec {news}<&-
    printf '%s\n' "$line"
}

m run -d --wait
pids=$(living | grep '^web#')
cursor=$(m cursor)
m flag set new-checkout=on --why SHOP-812
back=$(event "$cursor" rolled_back)
took=$(jq -r .took_ns <<<"$back")
[ "$(jq -r .observed <<<"$back")" = false ] || fail "the guard only observed: $back"
m flag wait new-checkout --until off --timeout "$timeout" || fail 'the flag is still on'
holds "rolled back $((took / 1000)) µs after the third crash (at most 100000 are allowed): $(jq -r .why <<<"$back")"

m wait web --state up --timeout "$timeout" >/dev/null || fail "not all is up again: $(m status || true)"
settled
died=$(m events --after "$cursor" --json | jq -s '[.[] | select(.kind == "exited" and .abnormal)] | length')
[ "$died" -ge 3 ] || fail "only $died processes died"
[ "$(living | grep -c '^web#')" = "$(wc -l <<<"$pids")" ] || fail "not three are up: $(m status || true)"
holds "$died died of it, and all three are up again; nobody did anything"

code=0
said=$(m flag set new-checkout=on --why again 2>&1) || code=$?
[ "$code" = 1 ] || fail "setting it again exits $code, should be 1: $said"
case $said in *ban*) ;; *) fail "the refusal does not speak of a ban: $said" ;; esac
code=0
m flag on new-checkout || code=$?
[ "$code" = 1 ] || fail "the flag is on, though it was refused (exit $code)"
holds "it cannot be set again: ${said%%$'\n'*}"

log=$(m flag log new-checkout)
case $log in *guard*SHOP-812*) ;; *) fail "the log does not name guard and reason: $log" ;; esac
m audit verify >/dev/null || fail 'the audit log is not whole'
crash=$(jq -r '.evidence[0]' <<<"$back")
m crash show "c-$crash" | grep -q new-checkout || fail "c-$crash does not name the change: $(m crash show "c-$crash")"
holds "the audit log and crash report c-$crash name the change"
end_project
