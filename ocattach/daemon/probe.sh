# All that has to be known about an environment before a daemon is used or started there, in one answer.
# Arguments: WORKDIR or "", path of opencode or "", port the daemon must have or "".

find_opencode() { # PATH-OR-EMPTY: says "opencode" when found, and each place that was looked at
    if [ -n "$1" ]; then
        expand "$1"
        say tried "$expanded"
        [ -f "$expanded" ] && [ -x "$expanded" ] && say opencode "$expanded"
        return
    fi
    say tried "PATH ($PATH)"
    found=$(command -v opencode 2>/dev/null)
    case "$found" in /*) say opencode "$found"; return ;; esac
    for found in "$HOME/.opencode/bin/opencode" "$HOME/.local/bin/opencode" "$HOME/.bun/bin/opencode" \
        "$HOME/.npm-global/bin/opencode" /usr/local/bin/opencode /opt/homebrew/bin/opencode; do
        say tried "$found"
        if [ -f "$found" ] && [ -x "$found" ]; then say opencode "$found"; return; fi
    done
}

variable_of() { # PID NAME: the value in that process's environment
    tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | sed -n "s/^$2=//p" | sed -n 1p
}

# A process of this account that shares our network and file system: what listens there is reachable from here,
# and its sessions are those this account would see. A daemon of another HOME has other sessions.
is_ours() { # PID
    [ -O "/proc/$1/environ" ] || return 1
    for space in net mnt; do
        [ "$(readlink "/proc/$1/ns/$space")" = "$(readlink "/proc/self/ns/$space")" ] || return 1
    done
    [ "$(variable_of "$1" HOME)" = "$HOME" ] && [ "$(variable_of "$1" XDG_DATA_HOME)" = "${XDG_DATA_HOME:-}" ]
}

listening_sockets() { # PID: says the daemon for each TCP socket it listens on
    inodes=$(ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\].*/ \1 /p' | tr -d '\n')
    [ -n "$inodes" ] || return
    for table in "/proc/$1/net/tcp" "/proc/$1/net/tcp6"; do
        [ -r "$table" ] || continue
        while read -r _ local_address _ socket_state _ _ _ _ _ inode _; do
            [ "$socket_state" = 0A ] || continue
            case "$inodes" in *" $inode "*) ;; *) continue ;; esac
            say_daemon found "$1" "$((0x${local_address##*:}))" "${local_address%%:*}" \
                "$(variable_of "$1" OPENCODE_SERVER_USERNAME)" "$(variable_of "$1" OPENCODE_SERVER_PASSWORD)"
        done <"$table"
    done
}

hand_started_daemons() {
    for file in $(grep -sl opencode /proc/[0-9]*/cmdline); do
        pid=${file#/proc/}
        pid=${pid%/cmdline}
        [ "$pid" != "$d_pid" ] && is_serve "$pid" && is_ours "$pid" && listening_sockets "$pid"
    done
}

read_input
say probe 1
say system "$(uname -s) $(uname -m)"
say home "$HOME"
[ -d "$HOME" ] && [ -w "$HOME" ] && say home_writable yes
say user "$(id -u)"
if [ -n "$1" ]; then
    expand "$1"
    [ -d "$expanded" ] && say workdir "$expanded"
fi
find_opencode "$2"
for runtime in node python3; do
    found=$(command -v "$runtime" 2>/dev/null) && say "$runtime" "$found"
done
if recorded_daemon; then say_daemon recorded "$d_pid" "$d_port" 0100007F opencode "$d_password"; else d_port=; fi
# The look at all processes is slow where there are many, and needless once there is a daemon that will do.
if [ -d /proc/self ] && { [ -z "$d_port" ] || [ "${3:-$d_port}" != "$d_port" ]; }; then hand_started_daemons; fi
say end 1
