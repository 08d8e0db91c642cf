# Functions that probe.sh, start.sh and stop.sh share. POSIX sh; works with dash, busybox and bash.
# Every answer is a line "MARK KEY=VALUE". Only the script knows the mark, so that no other program, log or file can
# add a line; other lines on stdout are ignored.

say() { printf '%s %s=%s\n' "$ocattach_mark" "$1" "$2"; }

say_lines() { # KEY: reports each line of standard input
    sed "s/^/$ocattach_mark $1=/"
}

# Standard input has what must not be on a command line: "mark MARK", "export NAME=VALUE", "unset NAME",
# "password VALUE"; then "end". Input without "end" is incomplete, because the connection was lost; the script exits
# without using it.
# The directory it starts in may have files of a repository, and PATH may have a relative entry: it leaves the directory.
read_input() {
    here=$PWD
    cd /
    complete=no
    password=
    while IFS= read -r line; do
        case "$line" in
            "mark "*) ocattach_mark=${line#mark } ;;
            "export "*) export "${line#export }" ;;
            "unset "*) unset "${line#unset }" ;;
            "password "*) password=${line#password } ;;
            end) complete=yes; break ;;
        esac
    done
    [ "$complete" = yes ] || exit 1
    [ -n "${HOME:-}" ] || { account; HOME=${account_home:-/}; }
    export HOME
    # By host: several hosts may share a home directory, and a pid is valid on one of them only.
    state=${XDG_STATE_HOME:-$HOME/.local/state}/ocattach/$(uname -n)
    log=$state/daemon.log
}

# From the user database; both are empty for an account without an entry, as in many pods.
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

# The start time of a process, as an opaque word: with the pid it identifies the process.
start_time() { # PID: sets $started_at; fails if there is no such process, or a zombie
    started_at=
    case "$1" in "" | 0* | *[!0-9]*) return 1 ;; esac
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

arguments() { # PID: prints its command line, one argument per line
    if [ -d /proc/self ]; then tr '\0' '\n' <"/proc/$1/cmdline"; else ps -p "$1" -o command= | tr ' ' '\n'; fi 2>/dev/null
}

is_serve() { # PID: whether its command line is an `opencode serve`
    arguments "$1" | {
        program= serve= count=0
        # Only the first arguments: one may be a long script, such as this one, and read is slow.
        while [ "$count" -lt 20 ] && IFS= read -r argument; do
            count=$((count + 1))
            case "${argument##*/}" in opencode | opencode.exe | .opencode) program=yes ;; esac
            [ "$argument" = serve ] && serve=yes
        done
        [ "$program$serve" = yesyes ]
    }
}

# Another account may have made the directory, below a HOME in /tmp for example.
is_private() { # FILE: whether it belongs to this account, is no symbolic link, and no other account can write it
    [ -O "$1" ] && [ ! -L "$1" ] || return 1
    case "$(LC_ALL=C ls -ld "$1")" in ?????w* | ????????w*) return 1 ;; esac
}

is_of_account() { # PID: whether the process belongs to this account
    if [ -d /proc/self ]; then [ -O "/proc/$1" ]; else [ "$(ps -p "$1" -o uid= | tr -d ' ')" = "$(id -u)" ]; fi
}

# The daemon that ocattach started for this account, if that process still runs. Another account's record is ignored.
recorded_daemon() { # sets $d_pid $d_start $d_port $d_password
    d_pid= d_start= d_port= d_password=
    [ -f "$state/daemon" ] && is_private "$state" && is_private "$state/daemon" || return 1
    while IFS='=' read -r key value; do
        case "$key" in
            pid) d_pid=$value ;;
            start) d_start=$value ;;
            port) d_port=$value ;;
            password) d_password=$value ;;
        esac
    done <"$state/daemon"
    [ -n "$d_pid" ] && [ -n "$d_port" ] && start_time "$d_pid" && [ "$started_at" = "$d_start" ] && is_serve "$d_pid" &&
        is_of_account "$d_pid"
}

open_sockets() { # PID: prints the inodes of its sockets, each between two spaces
    ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\].*/ \1 /p' | tr -d '\n'
}

pause() { sleep 0.02 2>/dev/null || sleep 1; }

processes() { # FIELD PID: prints the pids of the processes whose parent (ppid) or process group (pgid) that is
    if [ -d /proc/self ]; then
        fields=$2
        [ "$1" = ppid ] || fields="[0-9]* $2"
        grep -sl ") [A-Z] $fields " /proc/[0-9]*/stat | tr -dc '0-9\n'
    else
        ps -A -o pid= -o "$1=" | while read -r process value; do [ "$value" = "$2" ] && echo "$process"; done
    fi
}

# A process group is never killed by its negative pid: where kill is not a builtin, procps 4.0.2 reads -1234 as -1,
# which is every process of the account.
# TERM is sent repeatedly: OpenCode (1.18.33) ignores one while it installs packages in the background.
# Up to 1.14, npm installs a node script that waits for the real daemon and would not stop it.
end_process() { # PID SECONDS: fails if the process survives KILL
    for child in $(processes ppid "$1"); do
        if is_serve "$child"; then end_process "$child" "$2"; fi
    done
    attempts=$(($2 * 40)) # pauses, each about 25 ms
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
    say daemon "$1 $2 $3 $4 ${5:--} ${6:--}"
}
