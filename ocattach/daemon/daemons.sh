# What counts as a daemon of this account in this environment. Needs environment.sh and processes.sh.

boot= # with it the start time of a process is unique
if [ -r /proc/sys/kernel/random/boot_id ]; then read -r boot </proc/sys/kernel/random/boot_id; fi

# For recorded and found daemons alike: this account, the same network and files, the same data.
is_ours() { # PID
    is_of_account "$1" && [ "$(view "$1")" = "$(view self)" ] &&
        [ "$(database_of "$1")" = "$(database "$HOME" "${XDG_DATA_HOME:-}" "${OPENCODE_DB:-}")" ]
}

# Whatever the program's name, wrappers included: `serve`, `web`, or a TUI with a port.
serves() { # PID: whether its command line is that of a server
    arguments "$1" | (
        count=0
        # Only the first arguments: one may be a long script, such as this one, and read is slow.
        while [ "$count" -lt 20 ] && IFS= read -r argument; do
            count=$((count + 1))
            case "$argument" in
                serve | web | --port | --port=*) exit 0 ;;
                run | acp | attach) exit 1 ;; # these end with their task, or use another server
            esac
        done
        exit 1
    )
}

# Other programs have such verbs too; `ssh -L 4096:localhost:4096 HOST opencode serve` is not an OpenCode.
is_opencode() { # PID: whether it serves, and its program, script, or an open database or log is OpenCode's
    serves "$1" || return
    program=$(readlink "/proc/$1/exe" 2>/dev/null)
    case "${program##*/}" in *opencode*) return 0 ;; esac
    [ -n "$(
        arguments "$1" | sed '/^-/d' | sed -n '1,2s/.*\///; 1,2s/opencode/&/p'
        ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/\/opencode\/log\//&/p; s/\/opencode\/opencode[^/]*\.db/&/p'
    )" ]
}

# As OpenCode (1.18.33) finds it.
database() { # HOME XDG_DATA_HOME OPENCODE_DB: prints the path of its database, without symbolic links
    folder=${2:-$1/.local/share}/opencode file=${3:-opencode.db}
    case "$file" in /*) folder=${file%/*} file=${file##*/} ;; esac
    echo "$(CDPATH='' cd -P "$folder" 2>/dev/null && pwd -P || echo "$folder")/$file"
}

# Only where this account's own paths have line feeds can another's be the same.
with_line_feeds() { # VALUE: sets $whole to it as it is, from one of `variables`
    whole=$1
    case "$HOME${XDG_DATA_HOME:-}${OPENCODE_DB:-}" in
        *"
"*)
            whole=$(tr '\001' '\n' <<VALUE
$1.
VALUE
            )
            whole=${whole%.}
            ;;
    esac
}

database_of() { # PID
    variables "$1" | {
        home_of= data_of= file_of=
        while IFS= read -r line; do
            case "$line" in
                HOME=*) with_line_feeds "${line#*=}" && home_of=$whole ;;
                XDG_DATA_HOME=*) with_line_feeds "${line#*=}" && data_of=$whole ;;
                OPENCODE_DB=*) with_line_feeds "${line#*=}" && file_of=$whole ;;
            esac
        done
        [ -n "$home_of" ] || { account; home_of=$account_home; }
        database "$home_of" "$data_of" "$file_of"
    }
}

read_record() { # sets $d_pid $d_start $d_boot $d_port $d_password from $state; fails without one of this account
    d_pid= d_start= d_boot= d_port= d_password=
    [ -f "$state/daemon" ] && is_private "$state" && is_private "$state/daemon" || return 1
    while IFS='=' read -r key value; do
        case "$key" in
            pid) d_pid=$value ;;
            start) d_start=$value ;;
            boot) d_boot=$value ;;
            port) d_port=$value ;;
            password) d_password=$value ;;
        esac
    done <"$state/daemon"
    [ -n "$d_pid" ] && [ -n "$d_port" ]
}

record_runs() { # whether the recorded process still runs; without the boot in the record its number may be used again
    [ "${d_boot:-$boot}" = "$boot" ] && start_time "$d_pid" && [ "$started_at" = "$d_start" ] &&
        { [ -n "$d_boot" ] || serves "$d_pid"; }
}

# The directories have names of hosts, since several may share a home; but a host may be renamed, so all are read.
# A daemon that runs and is not ours, as in a toolbox with this home, keeps its directory.
recorded_daemon() { # sets $state, $log and what read_record sets; fails if no recorded daemon of ours runs
    name=$records/$(uname -n)
    for state in "$name" "$records"/*; do
        log=$state/daemon.log
        if read_record && record_runs && is_ours "$d_pid"; then return 0; fi
    done
    state=$name number=1
    while read_record && record_runs; do
        number=$((number + 1))
        state=$name.$number
    done
    log=$state/daemon.log d_pid=
    return 1
}

say_daemon() { # ORIGIN PID PORT ADDRESS USERNAME PASSWORD
    say daemon "$1 $2 $3 $4 ${5:--} ${6:--}"
}
