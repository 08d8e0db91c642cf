# Reports the TCP sockets on which programs listen, and of the programs what this account may see.
# Other accounts' processes are known by their uid only. Without /proc: lsof, else netstat, which knows no programs.

listeners() { # prints "PORT ADDRESS UID PID" for each socket, with - for what is unknown
    if [ -z "$proc" ]; then
        if command -v lsof >/dev/null; then
            lsof -nPw -iTCP -sTCP:LISTEN -Fpun 2>/dev/null | while IFS= read -r line; do
                case "$line" in
                    p*) pid=${line#p} ;;
                    u*) uid=${line#u} ;;
                    n*) echo "${line##*:} $(echo "${line%:*}" | sed 's/^n//') $uid $pid" ;;
                esac
            done
        else
            LC_ALL=C netstat -an 2>/dev/null |
                sed -n 's/^tcp[46]* *[0-9]* *[0-9]* *\([^ ]*\)[.:]\([0-9]*\) .*LISTEN.*/\2 \1 - -/p'
        fi
        return
    fi
    table=$(grep -h ' 0A ' /proc/self/net/tcp /proc/self/net/tcp6 2>/dev/null)
    wanted=" $(echo "$table" | while read -r _ _ _ _ _ _ _ _ _ inode _; do echo "$inode"; done | tr '\n' ' ')"
    holders=$(
        ls -l /proc/[0-9]*/fd 2>/dev/null |
            sed -n 's/^\/proc\/\([0-9]*\)\/fd:$/\1/p; s/.*socket:\[\([0-9]*\)\]$/ \1/p' |
            while IFS= read -r line; do
                case "$line" in
                    " "*) case "$wanted" in *"$line "*) echo "${line# } $holder" ;; esac ;;
                    *) holder=$line ;;
                esac
            done
    )
    echo "$table" | while read -r _ local_address _ _ _ _ _ uid _ inode _; do
        [ -n "$inode" ] || continue
        listener=$(echo "$holders" | sed -n "s/^$inode //p" | sed -n 1p)
        echo "$((0x${local_address##*:})) ${local_address%%:*} $uid ${listener:--}"
    done
}

directory() { # PID: prints its working directory
    if [ -n "$proc" ]; then readlink "/proc/$1/cwd"; else lsof -nPw -a -p "$1" -d cwd -Fn | sed -n 's/^n//p'; fi 2>/dev/null
}

read_input
say ports 1
say network "$boot $(readlink /proc/self/ns/net 2>/dev/null)"
say proc "$proc"
described=" "
listeners | head -n 1000 | while read -r port address uid listener; do
    say socket "$port $address $uid $listener"
    case "$described- " in *" $listener "*) continue ;; esac
    described="$described$listener "
    say program "$listener $(arguments "$listener" | tr '\n' ' ' | cut -c1-100)"
    say directory "$listener $(directory "$listener")"
    if is_opencode "$listener"; then say opencode "$listener"; fi
done
