# The end of the log of the daemon that an ocattach started. Argument: how many lines.

read_input
say daemon_log 1
if [ -r "$log" ]; then tail -n "$1" "$log" | sed 's/^/ocattach:log=/'; fi
