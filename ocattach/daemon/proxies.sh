# Reports the proxy variables that a daemon was started with, and no others.
# Arguments: PID.

read_input
say proxies 1
variables "$1" | while read -r line; do
    case "$line" in [Hh][Tt][Tt][Pp]_[Pp][Rr][Oo][Xx][Yy]=?* | [Hh][Tt][Tt][Pp][Ss]_[Pp][Rr][Oo][Xx][Yy]=?*) say variable "$line" ;; esac
done
