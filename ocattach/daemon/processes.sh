# What a process is, from /proc, or from ps and lsof (macOS, BSD). Needs environment.sh.

proc=
if [ -r /proc/self/stat ]; then proc=/proc; fi

# The start time of a process, as an opaque word: with the pid it identifies the process.
start_time() { # PID: sets $started_at; fails if there is no such process, or a zombie
    started_at=
    case "$1" in "" | 0* | *[!0-9]*) return 1 ;; esac
    if [ -n "$proc" ]; then
        { read -r stat_line <"/proc/$1/stat"; } 2>/dev/null || return 1
        set -- ${stat_line##*\) }
        case "$1" in Z | X) return 1 ;; esac
        started_at=${20}
    else
        # The same in every language and time zone.
        # shellcheck disable=SC2046 # split into columns
        set -- $(LC_ALL=C TZ=UTC0 ps -p "$1" -o stat= -o lstart= 2>/dev/null)
        case "${1:-Z}" in Z*) return 1 ;; esac
        started_at=$2_$3_$4_$5_$6
    fi
    [ -n "$started_at" ]
}

arguments() { # PID: prints its command line, one argument per line
    if [ -n "$proc" ]; then tr '\0' '\n' <"/proc/$1/cmdline"; else ps -ww -p "$1" -o command= | tr ' ' '\n'; fi 2>/dev/null
}

variables() { # PID: prints the variables it was started with, one per line; \001 stands for line feeds in values
    if [ -n "$proc" ]; then
        tr '\0\n' '\n\001' <"/proc/$1/environ"
    else # after the command; FreeBSD and OpenBSD have -e instead of -E
        { ps -Eww -p "$1" -o command= || ps -eww -p "$1" -o command=; } | sed 's/ \([A-Za-z_][A-Za-z_0-9]*=\)/\
\1/g'
    fi 2>/dev/null
}

variable_of() { # PID NAME: prints a variable of that process
    variables "$1" | sed -n "s/^$2=//p" | sed -n 1p
}

is_of_account() { # PID: whether the process runs as this account
    owner=
    if [ -n "$proc" ]; then
        { while read -r key _ owner _; do [ "$key" != Uid: ] || break; done <"/proc/$1/status"; } 2>/dev/null
    else
        owner=$(ps -p "$1" -o uid= | tr -d ' ')
    fi
    [ "$owner" = "$account_id" ]
}

view() { # PID: prints its network and mount namespaces; nothing where there are none
    ls -l "/proc/$1/ns/mnt" "/proc/$1/ns/net" 2>/dev/null | sed 's/.*-> //'
}

processes() { # FIELD PID: prints the pids of the processes whose parent (ppid) or process group (pgid) that is
    if [ -n "$proc" ]; then
        fields=$2
        [ "$1" = ppid ] || fields="[0-9]* $2"
        grep -sl ") [A-Z] $fields " /proc/[0-9]*/stat | tr -dc '0-9\n'
    else
        ps -A -o pid= -o "$1=" | while read -r process value; do [ "$value" = "$2" ] && echo "$process"; done
    fi
}

possible_servers() { # prints the pids of processes whose command line has a verb of a server anywhere
    if [ -n "$proc" ]; then
        grep -sl -e serve -e web -e --port /proc/[0-9]*/cmdline | tr -dc '0-9\n'
    else
        ps -xww -o pid= -o command= | while read -r process command; do
            case "$command" in *serve* | *web* | *--port*) echo "$process" ;; esac
        done
    fi
}

open_sockets() { # PID: prints the inodes of its sockets, each between two spaces
    ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\].*/ \1 /p' | tr -d '\n'
}

listening_sockets() { # PID: prints "PORT ADDRESS INODE" for each TCP socket on which it listens; without /proc no inode
    if [ -z "$proc" ]; then
        lsof -nPw -a -p "$1" -iTCP -sTCP:LISTEN -Fpn 2>/dev/null | sed -n 's/^n\(.*\):\([0-9]*\)$/\2 \1/p'
        return
    fi
    inodes=$(open_sockets "$1")
    for table in "/proc/$1/net/tcp" "/proc/$1/net/tcp6"; do
        [ -n "$inodes" ] && [ -r "$table" ] || continue
        while read -r _ local_address _ socket_state _ _ _ _ _ inode _; do
            [ "$socket_state" = 0A ] || continue
            case "$inodes" in *" $inode "*) echo "$((0x${local_address##*:})) ${local_address%%:*} $inode" ;; esac
        done <"$table"
    done
}

# A process group is never killed by its negative pid: where kill is not a builtin, procps 4.0.2 reads -1234 as -1,
# which is every process of the account.
# TERM is sent repeatedly: OpenCode (1.18.33) ignores one while it installs packages in the background.
# Up to 1.14, npm installs a node script that waits for the real daemon and would not stop it.
end_process() { # PID SECONDS: fails if the process survives KILL
    for child in $(processes ppid "$1"); do
        if serves "$child"; then end_process "$child" "$2"; fi
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
