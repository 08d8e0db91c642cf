# End the recorded daemon and wait until it is gone. Arguments: pid to end though it is not recorded or "", seconds to wait.

read_input
say stop 1
if recorded_daemon; then victim=$d_pid; else victim=$1; fi
if [ -n "$victim" ] && start_time "$victim" && is_serve "$victim"; then
    kill "$victim"
    attempts=$(($2 * 20))
    while start_time "$victim"; do
        attempts=$((attempts - 1))
        if [ "$attempts" -le 0 ]; then
            say error still-running
            exit 1
        fi
        sleep 0.05 2>/dev/null || sleep 1
    done
    say stopped "$victim"
fi
rm -f "$state/daemon"
