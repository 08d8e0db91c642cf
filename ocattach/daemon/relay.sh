# Becomes the relay, run by the program of the daemon that ocattach started for this account; exits if none runs.
# Arguments: the command that runs it in another program, as runtime.py has it: sh -c SCRIPT PROGRAM OPTIONS...

read_input
recorded_daemon || exit 1
as_bun=$3
shift 4
exec sh -c "$as_bun" "/proc/$d_pid/exe" "$@"
