#!/usr/bin/env bash
# Runs redis, PostgreSQL and nginx from Debian as services of mainstay, in a temporary folder, on free ports of the
# loopback; loads them with their own clients; and kills for ROUNDS rounds (12 unless said; SEED to repeat a choice)
# with SIGKILL: their main processes, their workers, mainstay's keeper and logger, several in the same instant.
# Installs what is missing; that and the user `postgres` need root.
# Must hold: each is ready again; each is there once, by its process and by its listening socket, and nothing of an
# earlier life is left; a worker's death is its master's business; what redis and PostgreSQL acknowledged before a kill is
# there afterwards; pgbench's books balance; flags are as before; after the end nothing is left.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-12}
seed=${SEED:-$$}
RANDOM=$seed

need() { # COMMAND PACKAGE...: installs Debian packages when the command is not there
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    [ "$(id -u)" = 0 ] || fail "$command is missing, and only root can install $*"
    if [ -z "${apt_updated:-}" ]; then
        apt-get update -qq >&2
        apt_updated=1
    fi
    # We want the programs only: no cluster, nothing started.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 || fail "cannot install $*"
    [ -z "$ours" ] || rm -f "$policy"
}

# Ports on which nothing of this machine listens, below those that the kernel gives to clients.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        [ -n "$(listeners "$port")" ] || break
    done
    echo "$port"
}

# The inodes of the sockets that listen on a port, one a line.
listeners() { # PORT
    local files=(/proc/net/tcp)
    [ ! -e /proc/net/tcp6 ] || files+=(/proc/net/tcp6)
    awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' "${files[@]}"
}

need redis-server redis-server
need redis-cli redis-tools
need nginx nginx
need curl curl
need jq jq
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || need postgres postgresql
bin=$(find /usr/lib/postgresql -path '*/bin/postgres' -printf '%h\n' | sort -V | tail -n 1)
[ -x "$bin/pgbench" ] || fail "there is no pgbench in $bin"

own_project
# The user `postgres` goes through here to its own folder.
chmod 711 "$folder"
mkdir "$folder/redis" "$folder/pg" "$folder/nginx"
as_postgres=() user=
if [ "$(id -u)" = 0 ]; then
    as_postgres=(runuser -u postgres --)
    user='user = "postgres"'
    chown postgres "$folder/pg"
fi
redis_port=$(free_port)
RANDOM=$((seed + 1)) pg_port=$(free_port)
RANDOM=$((seed + 2)) nginx_port=$(free_port)

(cd / && "${as_postgres[@]}" "$bin/initdb" --pgdata "$folder/pg/data" --username bench --auth trust --locale C \
    --no-sync >"$folder/initdb.log" 2>&1) || fail "initdb: $(tail -n 1 "$folder/initdb.log")"

cat >"$folder/nginx/nginx.conf" <<NGINX
worker_processes 2;
pid $folder/nginx/pid;
error_log stderr warn;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $folder/nginx/body;
    proxy_temp_path $folder/nginx/proxy;
    fastcgi_temp_path $folder/nginx/fastcgi;
    uwsgi_temp_path $folder/nginx/uwsgi;
    scgi_temp_path $folder/nginx/scgi;
    server {
        listen 127.0.0.1:$nginx_port;
        location / { return 200 "here\n"; }
    }
}
NGINX

# PostgreSQL listens before it has recovered, so its own word counts. INT is its fast shutdown, QUIT nginx's graceful one.
cat >"$folder/mainstay.toml" <<TOML
name = "real"

[defaults]
restart = { policy = "permanent", max = "unlimited" }
backoff = { base = "10ms", max = "1s" }

[service.redis]
command = ["redis-server", "--bind", "127.0.0.1", "--port", "$redis_port", "--dir", "$folder/redis", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
ready   = { tcp = $redis_port, within = "60s" }
stop    = { signal = "TERM", grace = "30s" }

[service.postgres]
command = ["$bin/postgres", "-D", "$folder/pg/data", "-c", "listen_addresses=127.0.0.1", "-c", "port=$pg_port", "-c", "unix_socket_directories=", "-c", "shared_buffers=16MB"]
ready   = { output = "database system is ready to accept connections", within = "60s" }
stop    = { signal = "INT", grace = "30s" }
$user

[service.nginx]
command = ["nginx", "-p", "$folder/nginx", "-c", "$folder/nginx/nginx.conf", "-e", "stderr", "-g", "daemon off;"]
ready   = { tcp = $nginx_port, within = "60s" }
stop    = { signal = "QUIT", grace = "30s" }

[flag.checkout]
default = false

[flag.search]
percent = 25
TOML

services=(redis postgres nginx)
declare -A port=([redis]=$redis_port [postgres]=$pg_port [nginx]=$nginx_port)

# A client may wait for ever for a server that died under it; it is ended, and said at the end.
bounded() {
    local code=0
    timeout --signal=KILL "$timeout" "$@" || code=$?
    [ "$code" != 137 ] || echo "$1" >>"$folder/stuck"
    return "$code"
}

redis() { bounded redis-cli -h 127.0.0.1 -p "$redis_port" --raw "$@"; }
postgres=(--host 127.0.0.1 --port "$pg_port" --username bench)
sql() { PGCONNECT_TIMEOUT=10 bounded "$bin/psql" "${postgres[@]}" --no-psqlrc --quiet --no-align --tuples-only \
    --dbname postgres --command "$1"; }
back() { bounded "$program" wait "$1" --state ready --timeout 30s >/dev/null 2>&1; }

# Each load writes down what was acknowledged, and waits for its service when that is away.
load_redis() {
    local key
    for ((key = 1; ; key++)); do
        if [ "$(redis SET "load:$key" "$key" 2>/dev/null)" = OK ]; then echo "load:$key"; else back redis; fi
        [ -e "$folder/loading" ] || return 0
    done >>"$folder/redis.acknowledged"
}
load_postgres() {
    local key
    for ((key = 1; ; key++)); do
        if sql "INSERT INTO acknowledged VALUES ($key)" >/dev/null 2>&1; then echo "$key"; else back postgres; fi
        [ -e "$folder/loading" ] || return 0
    done >>"$folder/postgres.acknowledged"
}
load_pgbench() {
    while [ -e "$folder/loading" ]; do
        bounded "$bin/pgbench" "${postgres[@]}" --client 4 --transactions 100 --no-vacuum postgres >/dev/null 2>&1 || back postgres
    done
}
load_redis_benchmark() {
    while [ -e "$folder/loading" ]; do
        bounded redis-benchmark -h 127.0.0.1 -p "$redis_port" -q -c 8 -n 2000 -t get,incr >/dev/null 2>&1 || back redis
    done
}
load_nginx() {
    while [ -e "$folder/loading" ]; do
        if [ "$(bounded curl --silent --max-time 10 "http://127.0.0.1:$nginx_port/[1-50]" | sort -u)" = here ]; then
            echo here
        else
            back nginx
        fi
    done >>"$folder/nginx.answers"
}

# PostgreSQL ends its other workers, recovers and goes on when one of them is killed; until then it
# refuses politely, and has no event for us but the refusal.
acknowledged() { # ROUND
    local last=$((SECONDS + ${timeout%s}))
    until [ "$(redis SET "round:$1" "$1" 2>/dev/null)" = OK ]; do
        [ "$SECONDS" -lt "$last" ] || fail "seed $seed, round $1: redis does not take a key"
    done
    until sql "INSERT INTO rounds VALUES ($1)" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$last" ] || fail "seed $seed, round $1: PostgreSQL does not take a row: $(sql 'SELECT 1' 2>&1)"
    done
}

# Exactly one of each, and nobody below the supervisor who is not a service.
once() {
    local name pid inode
    for name in "${services[@]}"; do
        pid=$(pid_of "$name")
        inode=$(listeners "${port[$name]}")
        [ -n "$inode" ] || fail "seed $seed: $name does not listen on ${port[$name]}"
        [ "$(wc -l <<<"$inode")" = 1 ] || fail "seed $seed: more than one socket listens on ${port[$name]}"
        # Descriptors come and go while we look.
        [ -n "$(find "/proc/$pid/fd" -lname "socket:\[$inode\]" 2>/dev/null || true)" ] ||
            fail "seed $seed: port ${port[$name]} is not that of $name, pid $pid"
    done
    local below wanted
    below=$(children "$(status | jq -r .supervisor_pid)" | tr ' ' '\n' | grep . | sort)
    wanted=$(living | cut -d ' ' -f 2 | sort)
    [ "$below" = "$wanted" ] || fail "seed $seed: not a service, or missing: $(for pid in $(comm -3 <(echo "$below") <(echo "$wanted")); do
        ps -o pid=,stat=,args= -p "$pid" || echo "$pid is gone"
    done)"
}

m run -d --wait >/dev/null || fail 'not everything is ready'
m flag set checkout=on search=50% >/dev/null
before_flags=$(flags)
sql 'CREATE TABLE acknowledged (key int PRIMARY KEY); CREATE TABLE rounds (round int PRIMARY KEY)'
"$bin/pgbench" "${postgres[@]}" --initialize --quiet --scale 1 postgres >/dev/null 2>&1 || fail 'pgbench cannot begin'

touch "$folder/loading"
loads=()
for load in load_redis load_postgres load_pgbench load_redis_benchmark load_nginx; do
    "$load" &
    loads+=($!)
done

targets=(redis postgres nginx redis postgres nginx mainstay.keeper mainstay.logger a-worker-of-postgres a-worker-of-nginx)
killed=0
for ((round = 1; round <= rounds; round++)); do
    acknowledged "$round"
    cursor=$(m cursor)
    before=$(living)
    # Each round begins with another one, so that no seed leaves one out.
    chosen=("${targets[(round - 1) % ${#targets[@]}]}" "${targets[RANDOM % ${#targets[@]}]}" "${targets[RANDOM % ${#targets[@]}]}")
    victims=() mains=()
    for target in $(printf '%s\n' "${chosen[@]}" | sort -u); do
        case $target in
        a-worker-of-*)
            main=$(pid_of "${target#a-worker-of-}")
            read -ra workers <<<"$(children "$main")"
            [ "${#workers[@]}" = 0 ] || victims+=("${workers[RANDOM % ${#workers[@]}]}")
            ;;
        *)
            main=$(pid_of "$target")
            victims+=("$main")
            mains+=("$main")
            ;;
        esac
    done
    kill_now "${victims[@]}"
    killed=$((killed + ${#victims[@]}))
    [ "${#mains[@]}" = 0 ] || exited "$cursor" "${mains[@]}"
    m wait "${services[@]}" --state ready --timeout "$timeout" >/dev/null || fail "seed $seed, round $round: $(m status)"
    m wait mainstay.keeper mainstay.logger --state up --timeout "$timeout" >/dev/null || fail "seed $seed, round $round: $(m status --all)"
    # Whoever was not killed was left alone.
    while read -r name pid _; do
        [[ " ${mains[*]} " == *" $pid "* ]] || [ "$(pid_of "$name")" = "$pid" ] ||
            fail "seed $seed, round $round: nobody killed $name, pid $pid, and it is $(pid_of "$name") now"
    done <<<"$before"
    once
    same_flags "$before_flags"
done

rm "$folder/loading"
wait "${loads[@]}" || fail 'a load failed'
[ ! -s "$folder/stuck" ] || holds "ended because they were stuck: $(sort "$folder/stuck" | uniq -c | tr '\n' ' ')"
! grep -qsxF "$program" "$folder/stuck" || fail "seed $seed: \`mainstay wait\` did not return in time"
acknowledged $((rounds + 1))
settled
once
same_flags "$before_flags"

for ((round = 1; round <= rounds; round++)); do echo "round:$round"; done >>"$folder/redis.acknowledged"
lost=$(comm -23 <(sort "$folder/redis.acknowledged") <(redis KEYS '*' | sort))
[ -z "$lost" ] || fail "seed $seed: redis lost ${lost//$'\n'/ }"
lost=$(comm -23 <(sort "$folder/postgres.acknowledged") <(sql 'SELECT key FROM acknowledged' | sort))
[ -z "$lost" ] || fail "seed $seed: PostgreSQL lost ${lost//$'\n'/ }"
[ "$(sql 'SELECT count(*) FROM rounds')" -ge "$rounds" ] || fail "seed $seed: PostgreSQL lost rounds"
books=$(sql "SELECT count(DISTINCT s) FROM (SELECT sum(abalance) s FROM pgbench_accounts UNION ALL SELECT sum(tbalance) FROM pgbench_tellers
    UNION ALL SELECT sum(bbalance) FROM pgbench_branches UNION ALL SELECT coalesce(sum(delta), 0) FROM pgbench_history) books")
[ "$books" = 1 ] || fail "seed $seed: the books of pgbench do not balance"
for name in redis.acknowledged postgres.acknowledged nginx.answers; do
    [ -s "$folder/$name" ] || fail "no load: nothing in $name"
done
transactions=$(sql 'SELECT count(*) FROM pgbench_history')
[ "$transactions" -gt 0 ] || fail 'no load: no transactions of pgbench'

sets=$(wc -l <"$folder/redis.acknowledged") rows=$(wc -l <"$folder/postgres.acknowledged")
end_project
for name in "${services[@]}"; do
    [ -z "$(listeners "${port[$name]}")" ] || fail "somebody still listens on ${port[$name]}, which was $name"
done
holds "$rounds rounds, $killed kills (seed $seed), ${SECONDS}s: $sets keys, $rows rows, $transactions transactions, none lost, none doubled"
