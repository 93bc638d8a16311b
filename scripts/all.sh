#!/usr/bin/env bash
# Makes a tree of its own in a temporary folder, runs the scripts of this folder that kill and damage against it (all,
# or those that are named: `all.sh storm.sh`), and takes it down. Must hold: what each of them says, and nothing is left.
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

own_project
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

m run -d --wait
export ROUNDS=${ROUNDS:-20} KILLS=${KILLS:-300}
[ $# -gt 0 ] || set -- kill-service.sh kill-builtin.sh damage-board.sh kill-everything.sh storm.sh rollback.sh
for script; do "$here/$script"; done
end_project
holds "nothing is left, after ${SECONDS}s"
