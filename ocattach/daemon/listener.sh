# Reports the sockets on which a daemon listens.
# Arguments: PID, port.

read_input
say listener 1
say kernel "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
listening_sockets "$1" | while read -r port _ inode; do
    [ "$port" != "$2" ] || say inode "$inode"
done
