# The proxies that a daemon was started with; no other variable of it leaves its environment.
# Arguments: PID.

read_input
say proxies 1
[ -r "/proc/$1/environ" ] || exit 0
tr '\0' '\n' <"/proc/$1/environ" | while read -r line; do
    case "$line" in [Hh][Tt][Tt][Pp]_[Pp][Rr][Oo][Xx][Yy]=?* | [Hh][Tt][Tt][Pp][Ss]_[Pp][Rr][Oo][Xx][Yy]=?*) say variable "$line" ;; esac
done
