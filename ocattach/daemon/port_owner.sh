# Answers each line of input, the pattern of a row of the kernel's tables of TCP sockets (proc_pid_net(5)): "ours" if this
# account owns the first such socket, "other" if another account does or there is none, "unknown" without the tables.

own=$(id -u)
set -f
while IFS= read -r pattern; do
    if [ -r /proc/self/net/tcp ] && command -v grep >/dev/null; then
        # shellcheck disable=SC2046 # a row becomes its columns
        set -- $(grep -Ehs "$pattern" /proc/self/net/tcp /proc/self/net/tcp6) ""
        if [ "${8-}" = "$own" ]; then echo ours; else echo other; fi
    else
        echo unknown
    fi
done
