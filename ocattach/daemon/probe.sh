# Reports everything that is needed to use or start a daemon in an environment.
# Arguments: WORKDIR or "", path of opencode or "", port the daemon must have or "", "login" if the PATH of the login
# shell comes first.

# The service of OpenCode 2 keeps its password in a file.
password_of() { # PID
    password=$(variable_of "$1" OPENCODE_SERVER_PASSWORD)
    [ -z "$password" ] || { echo "$password"; return; }
    for file in $(grep -sl "\"pid\": *$1[^0-9]" "${XDG_STATE_HOME:-$HOME/.local/state}/opencode"/service*.json); do
        sed -n 's/.*"password": *"\([^"\\]*\)".*/\1/p' "$file" | sed -n 1p
    done
}

hand_started_daemons() {
    for pid in $(possible_servers); do
        [ "$pid" != "$d_pid" ] && [ "$pid" != $$ ] && is_opencode "$pid" && is_ours "$pid" || continue
        for socket in $(listening_sockets "$pid" | tr ' ' ,); do
            port=${socket%%,*} address=${socket#*,}
            if fits "$port"; then daemon_pid=$pid; fi
            say_daemon found "$pid" "$port" "${address%%,*}" \
                "$(variable_of "$pid" OPENCODE_SERVER_USERNAME)" "$(password_of "$pid")"
        done
    done
}

fits() { # PORT: succeeds if a daemon on it can be used
    [ "${wanted_port:-$1}" = "$1" ]
}

say_program_of() { # PID
    program=$(readlink "/proc/$1/exe" 2>/dev/null)
    case "${program##*/}" in *opencode*) usable "$program" && say opencode "$program" ;; esac
}

read_input
wanted_port=$3 login_first=$4
system=$(uname -sm)
kernel=${system% *}
machine=${system##* }
say probe 1
say system "$system"
say home "$HOME"
if [ -n "$unwritable" ]; then say unwritable "$unwritable_folder"; fi
if [ -n "$private" ]; then say private "$private"; fi
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
if [ -z "$daemon_pid" ]; then hand_started_daemons; fi
# Running the login shell is slowest, and only needed to start a daemon: a running one shows its program.
if [ -z "$opencode_found$2" ]; then
    if [ -n "$daemon_pid" ]; then say_program_of "$daemon_pid"; else find_slowly; fi
fi
