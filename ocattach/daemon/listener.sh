# Reports the sockets on which a daemon listens.
# Arguments: PID, port.

read_input
say listener 1
say kernel "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
inodes=$(open_sockets "$1")
for table in "/proc/$1/net/tcp" "/proc/$1/net/tcp6"; do
    [ -r "$table" ] || continue
    while read -r _ local_address _ socket_state _ _ _ _ _ inode _; do
        [ "$socket_state" = 0A ] && [ "$((0x${local_address##*:}))" = "$2" ] || continue
        case "$inodes" in *" $inode "*) say inode "$inode" ;; esac
    done <"$table"
done
