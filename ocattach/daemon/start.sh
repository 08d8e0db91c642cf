# Start `opencode serve` and wait until it listens; answers with the daemon, or with why there is none.
# Arguments: WORKDIR or "", path of opencode, port (0: any), seconds to wait.

# Two clients that start at once must end up with one daemon. A lock of the kernel's ends with its holder;
# where flock is missing (macOS), a hard link is made by one and checked against the holder's start time by the others.
take_lock() { # SECONDS
    if command -v flock >/dev/null; then
        exec 9>"$state/lock" && flock 9
        return
    fi
    start_time $$
    echo "$$ $started_at" >"$state/lock.$$"
    trap 'rm -f "$state/lock.$$" "$state/lock.held"' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    attempts=$(($1 * 40)) # of pause, and what is around it
    until ln "$state/lock.$$" "$state/lock.held" 2>/dev/null; do
        read -r holder since <"$state/lock.held" 2>/dev/null || continue
        start_time "$holder" && [ "$started_at" = "$since" ] || rm -f "$state/lock.held"
        attempts=$((attempts - 1))
        if [ "$attempts" -le 0 ]; then
            trap 'rm -f "$state/lock.$$"' EXIT
            fail start-locked
        fi
        pause
    done
}

say_log() { # without our own line; its beginning too: a loader names what is missing first, and then all that follows from it
    if [ "$(wc -l <"$log")" -le 21 ]; then
        sed 1d "$log"
    else
        sed -n 2,5p "$log"
        echo ...
        tail -n 15 "$log"
    fi
}

fail() { # REASON
    say error "$1"
    if [ -r "$log" ]; then say_log | sed 's/^/ocattach:log=/'; fi
    exit 1
}

exited() { # the daemon that we launched did
    wait "$daemon_pid"
    say exit_code $?
    fail daemon-exited
}

launch() { # OPENCODE PORT: sets $daemon_pid. Deaf to hang-ups and in a session of its own: it outlives us and any terminal
    OPENCODE_SERVER_PASSWORD=$password
    OPENCODE_PASSWORD=$password # OpenCode 2 calls it that
    export OPENCODE_SERVER_PASSWORD OPENCODE_PASSWORD
    unset OPENCODE_SERVER_USERNAME
    session=
    command -v setsid >/dev/null && session=setsid
    # Here and not by the redirection below, which happens some time after it. No two logs begin alike: who reads
    # from where they were on has to see that this one is new.
    echo "ocattach: started at $(date -u +%Y-%m-%dT%H:%M:%SZ) by process $$" >"$log"
    ( # not nohup, which busybox may lack
        trap '' HUP
        umask "$account_umask"
        exec $session "$1" serve --hostname 127.0.0.1 --port "$2" </dev/null >>"$log" 2>&1 9>&-
    ) &
    daemon_pid=$!
}

# The line comes once requests are answered; the port accepts, and swallows, some earlier.
await_listening() { # SECONDS: sets $port
    attempts=$(($1 * 40)) # of pause, and what is around it
    while :; do
        while IFS= read -r line; do
            case "$line" in
                *"listening on http://"*) port=${line##*:}; return 0 ;;
            esac
        done <"$log"
        start_time "$daemon_pid" || exited
        attempts=$((attempts - 1))
        if [ "$attempts" -le 0 ]; then
            end_process "$daemon_pid" 2
            fail daemon-silent
        fi
        pause
    done
}

record() {
    start_time "$daemon_pid" || exited
    printf 'pid=%s\nstart=%s\nport=%s\npassword=%s\n' "$daemon_pid" "$started_at" "$port" "$password" >"$state/daemon.new" &&
        mv "$state/daemon.new" "$state/daemon" || { end_process "$daemon_pid" 2; fail state-unwritable; }
}

account_umask=$(umask) # for what the agent writes; what we keep is private
umask 077
read_input
say start 1
say home "$HOME"
if [ -n "$1" ]; then
    expand "$1"
    cd "$expanded" 2>/dev/null || fail no-workdir
fi
mkdir -p "$state" 2>/dev/null && chmod 700 "$state" && : >>"$log" || fail home-unwritable
take_lock "$4"
if recorded_daemon; then
    say_daemon recorded "$d_pid" "$d_port" 0100007F opencode "$d_password"
    exit 0
fi
# Clients of the daemon that was here, on whatever machine, are let in by the one that takes its place.
password=${d_password:-$password}
expand "$2"
launch "$expanded" "$3"
await_listening "$4"
record
say_daemon started "$daemon_pid" "$port" 0100007F opencode "$password"
