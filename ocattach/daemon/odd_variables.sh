# Variables whose names are not a shell's, such as discovery.type or BASH_FUNC_module%%: dash, busybox and others do not
# pass them on. Sets $OCATTACH_ODD to them, quoted for a shell. The loader runs this first, in the shell that was started
# with them; a script that it runs then only finds the variable set.

[ -n "${OCATTACH_ODD+set}" ] || OCATTACH_ODD=$({
    cd / # PATH may have a relative entry, and this directory the files of a repository
    LC_ALL=C
    export LC_ALL
    tr '\0\n' '\n\001' <"/proc/$$/environ" | grep '^[^-=][^=]*=' | grep -v '^[A-Za-z_][A-Za-z0-9_]*=' |
        sed "s/'/'\\\\''/g; s/.*/'&'/" | tr '\n\001' ' \n'
} 2>/dev/null)
export OCATTACH_ODD

