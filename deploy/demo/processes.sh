# Sourced by deploy/up: starting and stopping what belongs to one run. Every process is ours by pid.

started_pids=()

# fail MESSAGE: ends the run; the trap cleans up.
fail() {
    echo "deploy/up: $*" >&2
    exit 1
}

# start NAME COMMAND…: in the background, with its output behind what $dir/NAME.log has; in a session
# of its own, so that Ctrl-C reaches only us and everything is stopped in order
start() {
    local name=$1
    shift
    setsid "$@" >>"$dir/$name.log" 2>&1 </dev/null &
    started_pids+=("$!")
    eval "pid_$name=$!"
    printf -v "command_$name" '%q ' "$@"
}

# is_alive NAME
is_alive() {
    local pid
    eval "pid=\${pid_$1:-}"
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# watch_part NAME: says once when a part has died, and starts it again $restart_after seconds later.
# Ends the run when it has died more often than parts_deaths_max.
parts_deaths_max=5
declare -A died_at=() deaths=()
watch_part() {
    local name=$1 status=0 pid
    if is_alive "$name"; then
        return
    fi
    if [ -z "${died_at[$name]:-}" ]; then
        eval "pid=\$pid_$name"
        wait "$pid" 2>/dev/null || status=$?
        died_at[$name]=$SECONDS
        deaths[$name]=$((${deaths[$name]:-0} + 1))
        if [ "${deaths[$name]}" -gt "$parts_deaths_max" ]; then
            tail -n 15 "$dir/$name.log" >&2
            fail "$name died ${deaths[$name]} times; the end of its log is above"
        fi
        echo "== $name has died (exit status $status); it starts again in $restart_after s; see the page"
        return
    fi
    [ $((SECONDS - died_at[$name])) -ge "$restart_after" ] || return
    restart_part "$name"
}

restart_part() {
    local name=$1 command
    eval "command=\$command_$name"
    eval "start $name $command"
    echo "== $name starts again after $((SECONDS - died_at[$name])) s"
    unset "died_at[$name]"
}

# start_as_postgres NAME COMMAND…: PostgreSQL refuses root
start_as_postgres() {
    local name=$1
    shift
    start "$name" "${as_postgres[@]}" "$@"
}

# stop NAME [SIGNAL]: asks, waits up to 60 s, then insists. Returns the exit status.
stop() {
    local name=$1 pid status=0 i
    eval "pid=\${pid_$name:-}"
    [ -n "$pid" ] || return 0
    kill -"${2:-TERM}" "$pid" 2>/dev/null
    for ((i = 0; i < 600; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null || status=$?
    eval "pid_$name="
    return $status
}

# wait_for SECONDS NAME COMMAND…: until the command succeeds; shows NAME's log when it does not
wait_for() {
    local seconds=$1 name=$2 i pid
    shift 2
    for ((i = 0; i < seconds * 10; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        eval "pid=\${pid_$name:-}"
        [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 15 "$dir/$name.log" >&2
    fail "$name did not come up within $seconds s; the end of its log is above"
}

# free_ports N: ports of 127.0.0.1 that nobody listens on, kept apart from other runs by a lock
# file for each. A process of ours that finds its port taken all the same ends the run.
free_ports() {
    local wanted=$1 port tries=0
    ports=()
    while [ "${#ports[@]}" -lt "$wanted" ]; do
        [ $((tries += 1)) -lt 2000 ] || fail "no free ports on 127.0.0.1"
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
        mkdir "$port_locks/$port" 2>/dev/null || continue
        ports+=("$port")
    done
}

clean_up() {
    local pid i
    trap '' INT TERM
    # Newest first: traffic and apps before the servers that they use.
    for ((i = ${#started_pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${started_pids[i]}" 2>/dev/null
    done
    for ((i = 0; i < 50; i++)); do
        local alive=''
        for pid in "${started_pids[@]}"; do kill -0 "$pid" 2>/dev/null && alive=1; done
        [ -n "$alive" ] || break
        # A fast shutdown, should PostgreSQL still wait for sessions.
        [ $i -ne 10 ] || for pid in "${started_pids[@]}"; do kill -INT "$pid" 2>/dev/null; done
        sleep 0.1
    done
    for pid in "${started_pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
    wait 2>/dev/null
    for pid in "${ports[@]:-}"; do [ -z "$pid" ] || rmdir "$port_locks/$pid" 2>/dev/null; done
    rmdir "$port_locks" 2>/dev/null
    if [ -n "$keep" ]; then
        echo "kept: $dir"
    else
        rm -rf "$dir"
    fi
}
