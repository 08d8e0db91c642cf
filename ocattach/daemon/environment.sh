# Functions that probe.sh, start.sh and stop.sh share. POSIX sh; works with dash, busybox and bash.
# Every answer is a line "ocattach:KEY=VALUE"; everything else on stdout is somebody else's and is skipped.

say() { printf 'ocattach:%s=%s\n' "$1" "$2"; }

# Standard input holds what must not be on a command line: "export NAME=VALUE", "unset NAME", "password VALUE"; then "end".
# Input that stops before "end" came over a connection that broke: nothing may be done with half of it.
read_input() {
    complete=no
    password=
    while IFS= read -r line; do
        case "$line" in
            "export "*) export "${line#export }" ;;
            "unset "*) unset "${line#unset }" ;;
            "password "*) password=${line#password } ;;
            end) complete=yes; break ;;
        esac
    done
    [ "$complete" = yes ] || { say error input-incomplete; exit 1; }
    [ -n "${HOME:-}" ] || { account; HOME=${account_home:-/}; }
    export HOME
    # By host: a home directory may be shared by several, and a pid means something on one of them only.
    state=${XDG_STATE_HOME:-$HOME/.local/state}/ocattach/$(uname -n)
    log=$state/daemon.log
}

# What the user database says of this account; where nobody is at home there, as in many pods, both are empty.
account() { # sets $account_home $account_shell
    account_id=$(id -u)
    entry=$(getent passwd "$account_id" 2>/dev/null || grep "^[^:]*:[^:]*:$account_id:" /etc/passwd 2>/dev/null)
    account_shell=${entry##*:}
    account_home=${entry%:*}
    account_home=${account_home##*:}
}

expand() { # DIRECTORY: sets $expanded, with ~ as this account's home
    case "$1" in
        "~") expanded=$HOME ;;
        "~/"*) expanded=$HOME/${1#"~/"} ;;
        *) expanded=$1 ;;
    esac
}

# When a process started, as an opaque word: together with the pid it names one process for ever.
start_time() { # PID: sets $started_at; fails when there is no such process, or only its remains
    started_at=
    if [ -r "/proc/$1/stat" ]; then
        read -r stat_line <"/proc/$1/stat" 2>/dev/null || return 1
        set -- ${stat_line##*) }
        case "$1" in Z | X) return 1 ;; esac
        started_at=${20}
    else
        [ -d /proc/self ] && return 1
        started_at=$(ps -p "$1" -o lstart= 2>/dev/null | tr -s ' ' '_')
    fi
    [ -n "$started_at" ]
}

arguments() { # PID: its command line, an argument a line
    if [ -d /proc/self ]; then tr '\0' '\n' <"/proc/$1/cmdline"; else ps -p "$1" -o command= | tr ' ' '\n'; fi 2>/dev/null
}

is_serve() { # PID: whether its command line is an `opencode serve`
    arguments "$1" | {
        program= serve= count=0
        # Only the first few: the argument of a shell may be a long script, such as this one, and read is slow.
        while [ "$count" -lt 20 ] && IFS= read -r argument; do
            count=$((count + 1))
            case "${argument##*/}" in opencode | opencode.exe | .opencode) program=yes ;; esac
            [ "$argument" = serve ] && serve=yes
        done
        [ "$program$serve" = yesyes ]
    }
}

# The daemon that an ocattach started under this account, if it is still that very process.
recorded_daemon() { # sets $d_pid $d_start $d_port $d_password
    d_pid= d_start= d_port= d_password=
    [ -r "$state/daemon" ] || return 1
    while IFS='=' read -r key value; do
        case "$key" in
            pid) d_pid=$value ;;
            start) d_start=$value ;;
            port) d_port=$value ;;
            password) d_password=$value ;;
        esac
    done <"$state/daemon"
    [ -n "$d_pid" ] && [ -n "$d_port" ] && start_time "$d_pid" && [ "$started_at" = "$d_start" ] && is_serve "$d_pid"
}

open_sockets() { # PID: the inodes of its sockets, each between two spaces
    ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\].*/ \1 /p' | tr -d '\n'
}

pause() { sleep 0.02 2>/dev/null || sleep 1; }

children() { # PID
    if [ -d /proc/self ]; then
        grep -sl "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | tr -dc '0-9\n'
    else
        ps -A -o pid=,ppid= | while read -r child parent; do [ "$parent" = "$1" ] && echo "$child"; done
    fi
}

# Asked again and again: while OpenCode (1.18.33) installs packages in the background, one TERM is swallowed.
# What npm installs up to 1.14 is a node script that waits for the real daemon, and would leave it behind.
end_process() { # PID SECONDS: fails when the process goes on, even killed
    for child in $(children "$1"); do
        if is_serve "$child"; then end_process "$child" "$2"; fi
    done
    attempts=$(($2 * 40)) # of pause, and what is around it
    while start_time "$1"; do
        case $attempts in
            0) return 1 ;;
            10) kill -KILL "$1" ;;
            *0) kill "$1" ;;
        esac 2>/dev/null
        attempts=$((attempts - 1))
        pause
    done
    return 0
}

say_daemon() { # ORIGIN PID PORT ADDRESS USERNAME PASSWORD
    printf 'ocattach:daemon=%s %s %s %s %s %s\n' "$1" "$2" "$3" "$4" "${5:--}" "${6:--}"
}
