# Stops the recorded daemon and waits until it has exited. Arguments: pid to stop if none is recorded or "", seconds to wait.

read_input
say stop 1
if recorded_daemon; then victim=$d_pid; else victim=$1; fi
if [ -n "$victim" ] && start_time "$victim" && is_serve "$victim"; then
    end_process "$victim" "$2" || { say error still-running; exit 1; }
    say stopped "$victim"
fi
rm -f "$state/daemon"
