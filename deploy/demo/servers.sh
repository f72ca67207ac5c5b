# Sourced by deploy/up: the servers of one machine's worth of regions.

start_leader() {
    "${as_postgres[@]}" "$pg_bin/initdb" -D "$dir/leader" -U postgres -A trust -E UTF8 \
        --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; fail "initdb failed"; }
    cat >>"$dir/leader/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $leader_port
unix_socket_directories = ''
wal_level = replica
max_wal_senders = 10
shared_buffers = 256MB
max_wal_size = 2GB
CONF
    start_as_postgres leader "$pg_bin/postgres" -D "$dir/leader"
    wait_for 60 leader "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$leader_port"
    psql_leader -qf "$root/deploy/sample/orders.sql" || fail "cannot make the sample's tables"
}

# The base copy is taken beside the leader; what follows streams over the slow network.
start_replica() {
    "${as_postgres[@]}" "$pg_bin/pg_basebackup" -D "$dir/replica" -R --checkpoint=fast --no-sync \
        -d "host=127.0.0.1 port=$leader_port user=postgres" >"$dir/basebackup.log" 2>&1 ||
        { cat "$dir/basebackup.log" >&2; fail "pg_basebackup failed"; }
    cat >>"$dir/replica/postgresql.conf" <<CONF
port = $replica_port
primary_conninfo = 'host=127.0.0.1 port=$leader_wan_port user=postgres'
CONF
    start_as_postgres replica "$pg_bin/postgres" -D "$dir/replica" \
        -c "primary_conninfo=host=127.0.0.1 port=$leader_wan_port user=postgres"
    wait_for 60 replica "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$replica_port"
}

psql_leader() {
    "$pg_bin/psql" -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$leader_port" -U postgres "$@" postgres
}

start_nats() {
    cat >"$dir/hub.conf" <<CONF
server_name: hub
listen: 127.0.0.1:$hub_port
jetstream { domain: hub, store_dir: "$dir/hub" }
leafnodes { listen: 127.0.0.1:$leafnode_port }
CONF
    cat >"$dir/leaf.conf" <<CONF
server_name: leaf-ams
listen: 127.0.0.1:$leaf_port
jetstream { domain: ams, store_dir: "$dir/leaf" }
leafnodes { remotes: [ { url: "nats://127.0.0.1:$leafnode_wan_port" } ] }
CONF
    start hub nats-server -c "$dir/hub.conf"
    wait_for 60 hub grep -q 'Server is ready' "$dir/hub.log"
    start leaf nats-server -c "$dir/leaf.conf"
    wait_for 60 leaf grep -q 'Leafnode connection created' "$dir/leaf.log"
}

start_consumer() {
    export HOMEWARD_NATS_URLS=nats://127.0.0.1:$hub_port
    export HOMEWARD_POSTGRES_URL="host=127.0.0.1 port=$leader_port user=postgres dbname=postgres"
    export HOMEWARD_SOURCES=ams@ams,scl@hub
    export HOMEWARD_ADMIN_LISTEN=127.0.0.1:$admin_port
    local i
    # The leaf's domain is known to the hub a round trip after it has connected.
    for ((i = 0; i < 120; i++)); do
        "$consumer" streams apply >"$dir/streams.log" 2>&1 && break
        sleep 0.5
    done
    [ $i -lt 120 ] || { cat "$dir/streams.log" >&2; fail "cannot create the streams"; }
    start consumer "$consumer" run
    wait_for 60 consumer curl -fsS "http://127.0.0.1:$admin_port/readyz"
}

# start_app PROGRAM NAME REGION PORT NATS_PORT DATABASE_PORT REPLICA_PORT
start_app() {
    local program=$1
    shift
    start "$1" env PORT="$3" HOMEWARD_NATS_URL="nats://127.0.0.1:$4" \
        HOMEWARD_SPOOL_DIR="$dir/spool_$1" PRIMARY_REGION=scl FLY_REGION="$2" \
        HOMEWARD_REPLAY_KEYS="$replay_keys" REPLAY_ACCEL_PREFIX=@homeward_replay_ \
        DATABASE_URL="postgresql://postgres@127.0.0.1:$5/postgres" \
        DATABASE_REPLICA_URL="${6:+postgresql://postgres@127.0.0.1:$6/postgres}" "$program"
    wait_for 60 "$1" curl -fsS "http://127.0.0.1:$3/metrics"
}

start_nginx() {
    sed -e "s|@DIR@|$dir|g; s|@AMS_PORT@|$ams_port|g; s|@SCL_PORT@|$scl_port|g" \
        -e "s|@SCL_WAN_PORT@|$scl_wan_port|g; s|@EDGE_AMS_PORT@|$edge_ams_port|g" \
        -e "s|@EDGE_SCL_PORT@|$edge_scl_port|g; s|@REPLAY_TIMEOUT@|15s|g" \
        "$root/deploy/nginx/replay.conf.in" >"$dir/nginx.conf"
    start nginx nginx -p "$dir" -e "$dir/nginx.log" -c "$dir/nginx.conf"
    wait_for 60 nginx curl -fsS "http://127.0.0.1:$edge_ams_port/metrics"
}
