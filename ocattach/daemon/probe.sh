# Reports everything that is needed to use or start a daemon in an environment.
# Arguments: WORKDIR or "", path of opencode or "", port the daemon must have or "".

variable_of() { # PID NAME: prints a variable of that process
    tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | sed -n "s/^$2=//p" | sed -n 1p
}

# PID: succeeds for a process of this account in the same network and mount namespaces, so that its port is reachable.
# A daemon with another HOME has other sessions and does not count.
is_ours() { # PID
    [ -O "/proc/$1/environ" ] || return 1
    for space in net mnt; do
        [ "$(readlink "/proc/$1/ns/$space")" = "$(readlink "/proc/self/ns/$space")" ] || return 1
    done
    [ "$(variable_of "$1" HOME)" = "$HOME" ] && [ "$(variable_of "$1" XDG_DATA_HOME)" = "${XDG_DATA_HOME:-}" ]
}

# The service of OpenCode 2 keeps its password in a file.
password_of() { # PID
    password=$(variable_of "$1" OPENCODE_SERVER_PASSWORD)
    [ -z "$password" ] || { echo "$password"; return; }
    for file in $(grep -sl "\"pid\": *$1[^0-9]" "${XDG_STATE_HOME:-$HOME/.local/state}/opencode"/service*.json); do
        sed -n 's/.*"password": *"\([^"\\]*\)".*/\1/p' "$file" | sed -n 1p
    done
}

listening_sockets() { # PID: reports a daemon for each TCP socket it listens on
    inodes=$(open_sockets "$1")
    [ -n "$inodes" ] || return
    for table in "/proc/$1/net/tcp" "/proc/$1/net/tcp6"; do
        [ -r "$table" ] || continue
        while read -r _ local_address _ socket_state _ _ _ _ _ inode _; do
            [ "$socket_state" = 0A ] || continue
            case "$inodes" in *" $inode "*) ;; *) continue ;; esac
            port=$((0x${local_address##*:}))
            if fits "$port"; then daemon_pid=$1; fi
            say_daemon found "$1" "$port" "${local_address%%:*}" \
                "$(variable_of "$1" OPENCODE_SERVER_USERNAME)" "$(password_of "$1")"
        done <"$table"
    done
}

hand_started_daemons() {
    for file in $(grep -sl opencode /proc/[0-9]*/cmdline); do
        pid=${file#/proc/}
        pid=${pid%/cmdline}
        [ "$pid" != "$d_pid" ] && [ "$pid" != $$ ] && is_serve "$pid" && is_ours "$pid" && listening_sockets "$pid"
    done
}

fits() { # PORT: succeeds if a daemon on it can be used
    [ "${wanted_port:-$1}" = "$1" ]
}

say_program_of() { # PID
    program=$(readlink "/proc/$1/exe" 2>/dev/null)
    case "${program##*/}" in opencode | opencode.exe | .opencode) usable "$program" && say opencode "$program" ;; esac
}

# OpenCode (1.18.33) makes four directories and exits if it cannot; an existing configuration may be read-only.
find_unwritable() { # reports the directory that is not writable
    share=${XDG_DATA_HOME:-$HOME/.local/share} configuration=${XDG_CONFIG_HOME:-$HOME/.config}/opencode
    [ ! -d "$configuration" ] || configuration=
    for folder in "$share/opencode" "${state%/*}" "${state%/*/*}/opencode" "${XDG_CACHE_HOME:-$HOME/.cache}/opencode" \
        ${configuration:+"$configuration"}; do
        case "$folder" in /*) ;; *) folder=$here/$folder ;; esac
        while [ ! -e "${folder:-/}" ]; do folder=${folder%/*}; done
        if ! [ -d "$folder/" ] || ! [ -w "$folder/" ]; then
            say unwritable "${folder:-/}"
            return
        fi
    done
}

read_input
wanted_port=$3
system=$(uname -sm)
kernel=${system% *}
machine=${system##* }
say probe 1
say system "$system"
say home "$HOME"
find_unwritable
if [ -n "$1" ]; then
    expand "$1"
    [ -d "$expanded" ] && say workdir "$expanded"
fi
opencode_found= daemon_pid=
if find_quickly "$2"; then opencode_found=yes; fi
if recorded_daemon; then
    say_daemon recorded "$d_pid" "$d_port" 0100007F opencode "$d_password"
    if fits "$d_port"; then daemon_pid=$d_pid; fi
fi
# Searching all processes is slow, and not needed if the recorded daemon can be used.
if [ -d /proc/self ] && [ -z "$daemon_pid" ]; then hand_started_daemons; fi
# Running the login shell is slowest, and only needed to start a daemon: a running one shows its program.
if [ -z "$opencode_found$2" ]; then
    if [ -n "$daemon_pid" ]; then say_program_of "$daemon_pid"; else find_slowly; fi
fi
say end 1
