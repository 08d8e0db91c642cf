# Start `opencode serve` and wait until it listens; reports the daemon, or why there is none.
# Arguments: WORKDIR or "", path of opencode, port (0: any), seconds to wait.

# Two clients that start at the same time must get the same daemon. flock is released when its holder exits;
# without flock (macOS), one makes a hard link, and the others check that its holder still runs.
take_lock() { # SECONDS
    if command -v flock >/dev/null; then
        exec 9>"$state/lock" && flock 9
        return
    fi
    start_time $$
    echo "$$ $started_at" >"$state/lock.$$"
    trap 'rm -f "$state/lock.$$" "$state/lock.held"' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    attempts=$(($1 * 40)) # pauses, each about 25 ms
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

say_log() { # without the line of `launch`; with its beginning, since loaders report the cause first, then all its consequences
    if [ "$(wc -l <"$log")" -le 21 ]; then
        sed 1d "$log"
    else
        sed -n 2,5p "$log"
        echo ...
        tail -n 15 "$log"
    fi
}

say_full() { # reports a directory on whose disk there is no room for what OpenCode writes at first
    for folder in "${XDG_DATA_HOME:-$HOME/.local/share}/opencode" "$state"; do
        case "$folder" in /*) ;; *) folder=$here/$folder ;; esac
        while [ ! -d "${folder:-/}" ]; do folder=${folder%/*}; done
        [ -w "${folder:-/}" ] || continue
        dd if=/dev/zero of="$folder/.ocattach.$$" bs=1024 count=256 2>/dev/null || say full "${folder:-/}"
        rm -f "$folder/.ocattach.$$"
    done
}

fail() { # REASON
    say error "$1"
    say_full
    if [ -r "$log" ]; then say_log | say_lines log; fi
    exit 1
}

exited() { # the daemon that was launched has exited
    wait "$daemon_pid"
    say exit_code $?
    fail daemon-exited
}

# dash and busybox remove them from the environment of what they start.
odd_variables() { # prints the variables whose names are not a shell's, a line each, with \001 for line feeds
    tr '\0\n' '\n\001' <"/proc/$$/environ" | grep '^[^-=][^=]*=' | grep -v '^[A-Za-z_][A-Za-z0-9_]*='
}

launch() { # OPENCODE PORT: sets $daemon_pid. Ignores HUP and has its own session, so that it outlives this script
    OPENCODE_SERVER_PASSWORD=$password
    OPENCODE_PASSWORD=$password # the name in OpenCode 2
    export OPENCODE_SERVER_PASSWORD OPENCODE_PASSWORD
    unset OPENCODE_SERVER_USERNAME
    session=$(command -v setsid) # its path: below, a relative entry of PATH means the working directory
    # Here, since the redirection below happens later. The line is different in each log, so that readers that
    # continue from a position recognise a new log.
    echo "ocattach: started at $(date -u +%Y-%m-%dT%H:%M:%SZ) by process $$" >"$log"
    ( # not nohup, which busybox may lack
        trap '' HUP
        umask "$account_umask"
        cd "$workdir" || exit 1
        program=$1 wanted_port=$2
        set --
        while IFS= read -r variable; do
            [ -z "$variable" ] || set -- "$@" "$(printf '%s' "$variable" | tr '\001' '\n')"
        done <<VARIABLES
$(odd_variables 2>/dev/null)
VARIABLES
        exec ${session:+"$session"} ${1:+env} "$@" \
            "$program" serve --hostname 127.0.0.1 --port "$wanted_port" </dev/null >>"$log" 2>&1 9>&-
    ) &
    daemon_pid=$!
}

# The daemon prints the line once it answers requests; earlier ones are accepted and never answered.
await_listening() { # SECONDS: sets $port
    attempts=$(($1 * 40)) # pauses, each about 25 ms
    while :; do
        while IFS= read -r line; do
            case "$line" in
                *"listening on http://"*)
                    port=${line##*:}
                    case "$port" in "" | *[!0-9]*) ;; *) return 0 ;; esac
                    ;;
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

account_umask=$(umask) # for the daemon; the files of this script are private
umask 077
read_input
say start 1
say home "$HOME"
expand "${1:-$here}"
workdir=$expanded
say workdir "$workdir"
(cd "$workdir") 2>/dev/null || fail no-workdir
made=
mkdir -p "$state" 2>/dev/null && chmod 700 "$state" 2>/dev/null && made=yes
if [ -d "$state" ] && ! is_private "$state"; then fail state-foreign; fi
[ -n "$made" ] && : >>"$log" || fail home-unwritable
take_lock "$4"
if recorded_daemon; then
    say_daemon recorded "$d_pid" "$d_port" 0100007F opencode "$d_password"
    exit 0
fi
# The new daemon has the password of the last one, so that clients of that, on any machine, can use it.
password=${d_password:-$password}
expand "$2"
launch "$expanded" "$3"
await_listening "$4"
record
say_daemon started "$daemon_pid" "$port" 0100007F opencode "$password"
