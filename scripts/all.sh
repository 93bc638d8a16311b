#!/usr/bin/env bash
# Makes a tree of its own in a temporary folder, runs every script of this folder against it, and takes it down.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
MAINSTAY=${MAINSTAY:-mainstay}
export MAINSTAY
folder=$(mktemp -d "${TMPDIR:-/tmp}/mainstay-scripts-XXXXXX")
export RUNTIME_DIRECTORY=$folder/run STATE_DIRECTORY=$folder/state LOGS_DIRECTORY=$folder/log
export MAINSTAY_CONFIG=$folder/mainstay.toml

cleanup() {
    "$MAINSTAY" shutdown --timeout 30s >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap cleanup EXIT

cat >"$folder/mainstay.toml" <<'TOML'
name = "scripts"

[defaults]
restart = { policy = "permanent", max = 100000, within = "1s" }
backoff = "none"

[service.web]
command   = ["sleep", "100000"]
instances = 4

[service.worker]
command = ["sh", "-c", "while :; do sleep 1000; done"]
needs   = ["web"]

[group.pair]
strategy = "one_for_all"

[service.left]
group   = "pair"
command = ["sleep", "100000"]

[service.right]
group   = "pair"
command = ["sleep", "100000"]

[flag.checkout]
default = false

[flag.search]
default = true
TOML

"$MAINSTAY" run -d --wait
"$here/kill-service.sh" web#2 worker
"$here/kill-builtin.sh"
"$here/damage-board.sh"
ROUNDS=${ROUNDS:-20} "$here/kill-everything.sh"
KILLS=${KILLS:-300} "$here/storm.sh"
"$MAINSTAY" shutdown
trap - EXIT
left=$(grep -lsz "^RUNTIME_DIRECTORY=$RUNTIME_DIRECTORY$" /proc/[0-9]*/environ 2>/dev/null | grep -v "/proc/$$/" || true)
[ -z "$left" ] || { echo "all.sh: FAILED: processes are left: $left" >&2; exit 1; }
rm -rf "$folder"
