# Ends a daemon of ours and waits until it has exited; its record is kept as long as it runs.
# Arguments: its pid, seconds to wait.

read_input
say stop 1
recorded_daemon
if [ "$1" = "$d_pid" ] || { serves "$1" && is_ours "$1"; }; then
    end_process "$1" "$2" || { say error still-running; exit 1; }
    say stopped "$1"
    if [ "$1" = "$d_pid" ]; then rm -f "$state/daemon"; fi
elif start_time "$1"; then
    say error not-ours
fi
