# Start `opencode serve` and wait until it listens; reports the daemon, or why there is none.
# Arguments: WORKDIR or "", path of opencode, port (0: any), seconds to wait, "login" if the PATH of the login shell
# comes first.

# Two clients that start at the same time must get the same daemon. flock is released when its holder exits;
# without flock (macOS), one makes a hard link, and the others check that its holder still runs.
take_lock() { # SECONDS
    if command -v flock >/dev/null; then
        exec 9>"$records/daemon.lock" && flock 9 9>&9 # mksh and ksh93 pass only what is redirected
        return
    fi
    start_time $$
    lock=$records/daemon.lock
    echo "$$ $started_at" >"$lock.$$"
    trap 'rm -f "$lock.$$" "$lock.held"' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    attempts=$(($1 * 40)) # pauses, each about 25 ms
    until ln "$lock.$$" "$lock.held" 2>/dev/null; do
        { read -r holder since <"$lock.held"; } 2>/dev/null || continue
        start_time "$holder" && [ "$started_at" = "$since" ] || rm -f "$lock.held"
        attempts=$((attempts - 1))
        if [ "$attempts" -le 0 ]; then
            trap 'rm -f "$lock.$$"' EXIT
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
    if [ -f "$log" ] && [ -r "$log" ]; then say_log | say_lines log; fi
    exit 1
}

exited() { # the daemon that was launched has exited
    wait "$daemon_pid"
    say exit_code $?
    fail daemon-exited
}

launch() { # OPENCODE PORT: sets $daemon_pid. Ignores HUP and has its own session, so that it outlives this script
    OPENCODE_SERVER_PASSWORD=$password
    OPENCODE_PASSWORD=$password # the name in OpenCode 2
    export OPENCODE_SERVER_PASSWORD OPENCODE_PASSWORD
    unset OPENCODE_SERVER_USERNAME
    # Their paths: below, a relative entry of PATH means the working directory.
    session=$(command -v setsid) with_variables=$(command -v env)
    odd=$OCATTACH_ODD
    unset OCATTACH_ODD
    # Here, since the redirection below happens later. The line is different in each log, so that readers that
    # continue from a position recognise a new log.
    echo "ocattach: started at $(date -u +%Y-%m-%dT%H:%M:%SZ) by process $$" >"$log"
    ( # not nohup, which busybox may lack
        exec 9>&- # by itself: bash 3.2 keeps the lock open in an `exec COMMAND 9>&-`
        trap '' HUP
        umask "$account_umask"
        cd "$workdir" || exit 1
        program=$1 wanted_port=$2
        exec </dev/null >>"$log" 2>&1
        set --
        [ -z "$with_variables" ] || eval "set -- $odd $own"
        set -- ${1:+"$with_variables"} "$@" ${session:+"$session"} \
            "$program" serve --hostname 127.0.0.1 --port "$wanted_port"
        eval "$later" # last: its names may be those of this script
        exec "$@"
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

# OpenCode (1.18.33) tells only a plugin the session of a shell. It waits for npm before it loads the first one.
give_session() { # lets the variables in $OCATTACH_SESSION_NAMES have the session's id, unless they are set
    [ -n "${OCATTACH_SESSION_NAMES:-}" ] && [ -z "${OPENCODE_CONFIG_CONTENT:-}" ] || return 0
    case "$state" in *[!A-Za-z0-9/._-]*) return 0 ;; esac # it would have to be quoted
    cat >"$state/session.mjs" <<'PLUGIN' || return 0
export const Session = async () => ({
  "shell.env": async (input, output) => {
    for (const name of process.env.OCATTACH_SESSION_NAMES.split(" "))
      if (input.sessionID && !(name in process.env)) output.env[name] = input.sessionID
  },
})
PLUGIN
    export OPENCODE_CONFIG_CONTENT="{\"plugin\":[\"file://$state/session.mjs\"]}"
}

use_login_path() { # unless the PATH is given
    case "$given" in *" PATH "*) return ;; esac
    login_path
    case "$answer" in "" | ocattach-late) ;; *) join_paths login ;; esac
}

record() {
    start_time "$daemon_pid" || exited
    { cat >"$state/daemon.new" && mv "$state/daemon.new" "$state/daemon"; } <<RECORD || { end_process "$daemon_pid" 2; fail state-unwritable; }
pid=$daemon_pid
start=$started_at
boot=$boot
port=$port
password=$password
RECORD
}

make_private() { # DIRECTORY: fails, as the script, if it cannot be made or is another account's
    mkdir -p "$1" 2>/dev/null
    [ -d "$1" ] || fail home-unwritable
    is_own "$1" || fail state-foreign
    chmod 700 "$1" 2>/dev/null || fail home-unwritable
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
log=
[ -z "$private" ] || make_private "$private"
make_private "$records"
take_lock "$4"
if recorded_daemon; then
    say_daemon recorded "$d_pid" "$d_port" 0100007F opencode "$d_password"
    say end 1
    exit 0
fi
make_private "$state"
for file in "$log" "$state/daemon"; do # opening a named pipe would wait, a link be followed, and mv move into a directory
    if [ -L "$file" ] || { [ -e "$file" ] && [ ! -f "$file" ]; }; then
        say odd "$file"
        fail odd-file
    fi
done
: >>"$log" || fail home-unwritable
if [ -n "$5" ]; then use_login_path; fi
give_session
expand "$2"
launch "$expanded" "$3"
await_listening "$4"
record
say_daemon started "$daemon_pid" "$port" 0100007F opencode "$password"
