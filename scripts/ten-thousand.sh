#!/usr/bin/env bash
# Ten thousand services (SERVICES says how many), or as many as the descriptors of this machine allow: started,
# all killed at once, back, stopped. Whatever the number, nobody may be missing, nobody there twice, nobody in an old
# life, and nothing left at the end. Says how long each took and how much memory mainstay had. Run by hand: minutes.

cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

timeout=${TIMEOUT:-600s}
services=${SERVICES:-10000}

own_project

write_project() {
    cat >"$MAINSTAY_CONFIG" <<TOML
name = "many"

[service.one]
command   = ["sleep", "infinity"]
instances = $services
log       = "none"
restart   = { max = 1000000, within = "1s" }
backoff   = "none"
TOML
}

# Seconds since `begin`.
begin() { began=$EPOCHREALTIME; }
took() { awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f s", to - from }'; }

start_all() { m run -d --wait --timeout "$timeout" 2>"$folder/said"; }

write_project
begin
if ! start_all; then
    # More descriptors than allowed: it says the sum, so that we know how many it can be.
    sum=$(grep -oE '\([0-9]+ \+ [0-9]+ × [0-9]+ instances' "$folder/said") || fail "$(cat "$folder/said")"
    allowed=$(grep -oE '[0-9]+ are allowed' "$folder/said" | cut -d ' ' -f 1)
    read -r base each < <(tr -dc '0-9 ' <<<"$sum" | awk '{ print $1, $2 }')
    holds "$services services need more descriptors than the $allowed of the hard limit: $(cat "$folder/said")"
    services=$(((allowed - base) / each))
    write_project
    begin
    start_all || fail "$(cat "$folder/said")"
fi
holds "$services services up in $(took)"

# INSTANCE PID INCARNATION of the services.
lives() { status | jq -r '.services[] | "\(.instance) \(.pid // 0) \(.incarnation)"' | sort; }

memory() { awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup"; }

supervisor=$(status | jq -r .supervisor_pid)
logger=$(m pid mainstay.logger)
holds "memory (PSS): supervisor $(memory "$supervisor") KiB, logger $(memory "$logger") KiB"

lives >"$folder/before"
[ "$(wc -l <"$folder/before")" -eq "$services" ] || fail "status has $(wc -l <"$folder/before") services"
[ "$(awk '$2 == 0' "$folder/before" | wc -l)" -eq 0 ] || fail 'some have no process'

cursor=$(m cursor)
mapfile -t pids < <(cut -d ' ' -f 2 "$folder/before")
begin
kill -KILL "${pids[@]}"
m wait one --state up --after "$cursor" --timeout "$timeout" >/dev/null || fail "not all came back: $(m status || true)"
holds "all $services killed and back in $(took)"

lives >"$folder/after"
join "$folder/before" "$folder/after" >"$folder/both"
[ "$(wc -l <"$folder/both")" -eq "$services" ] || fail 'somebody was lost'
stale=$(awk '$2 == $4 || $5 <= $3 || $4 == 0' "$folder/both" | head -3)
[ -z "$stale" ] || fail "in an old life, or without a process: $stale"
doubled=$(cut -d ' ' -f 2 "$folder/after" | sort | uniq -d | head -3)
[ -z "$doubled" ] || fail "one process for two services: $doubled"
there=$(marked "$RUNTIME_DIRECTORY" | wc -l)
builtins=$(status --all | jq '[.services[] | select(.instance | startswith("mainstay."))] | length')
[ "$there" -eq $((services + builtins)) ] || fail "$there processes carry the project's mark, not $services and $builtins"
m status >/dev/null || fail 'not all is as wanted'
holds "memory (PSS): supervisor $(memory "$supervisor") KiB, logger $(memory "$logger") KiB"

begin
m stop --all --timeout "$timeout" >/dev/null || fail 'the stop failed'
holds "all stopped in $(took)"
end_project
holds 'nothing is left'
