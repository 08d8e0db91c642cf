# After probe.sh: becomes the relay, run by the program of the recorded daemon, if that is the one to use.
# Further arguments: the command that runs it in another program, as runtime.py has it: sh -c SCRIPT PROGRAM OPTIONS...

if [ -n "$daemon_pid" ] && [ "$daemon_pid" = "$d_pid" ]; then
    say relay 1
    say end 1
    # What the connection sets is for OpenCode, not for the relay.
    for name in $given; do
        case "$name" in PATH) ;; *) unset "$name" ;; esac
    done
    as_bun=$7
    shift 8
    exec sh -c "$as_bun" "/proc/$d_pid/exe" "$@"
fi
