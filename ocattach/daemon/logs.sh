# Reports new lines of two logs: the output of the daemon that ocattach started, and OpenCode's own log.
# Arguments: number of last lines for a first read, largest number of lines; then for each log the
# position that was reached, BEGINNING:LINES, or "".

own_log() { # sets $own to OpenCode's newest log: opencode.log; older versions have one per start, named by its time
    own=
    for file in "${XDG_DATA_HOME:-$HOME/.local/share}"/opencode/log/*.log; do
        case "$file" in */dev.log) ;; *) [ ! -r "$file" ] || own=$file ;; esac
    done
}

# Whole lines only: an incomplete last line is reported by the next read.
new_lines() { # KEY FILE PLACE
    [ -r "$2" ] || return 0
    total=$(($(wc -l <"$2")))
    # A new log may replace the old one in the same file; its first line has a time. Busybox may lack cksum.
    beginning=$(head -n 1 "$2" | tr -cd 0-9 | cut -b 1-40)
    case "$3" in
        "") seen=$((total - last)) ;;
        "$beginning:"*) seen=${3#*:} ;;
        *) seen=0 ;;
    esac
    if [ "$seen" -lt 0 ] || [ "$seen" -gt "$total" ]; then seen=0; fi
    if [ $((total - seen)) -gt "$most" ]; then
        total=$((seen + most))
        say more 1
    fi
    say "$1_file" "$2"
    say "$1_place" "$beginning:$total"
    [ "$total" -gt "$seen" ] || return 0
    tail -n "+$((seen + 1))" "$2" | head -n $((total - seen)) | cut -b 1-1000 | say_lines "$1"
}

read_input
recorded_daemon
last=$1 most=$2
say logs 1
own_log
new_lines daemon "$log" "$3"
if [ -n "$own" ]; then new_lines opencode "$own" "$4"; fi
