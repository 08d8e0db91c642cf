# Functions that all scripts share. POSIX sh; works with dash, busybox, bash, mksh, yash, zsh, posh and ksh93.
# Every answer is a line "MARK KEY=VALUE". Only the script knows the mark, so that no other program, log or file can
# add a line; other lines on stdout are ignored.

# A program's arguments can be seen by other accounts, and a value may be a password: mksh and posh have no own printf.
case "$(command -v printf)" in
    printf) say() { printf '%s %s=%s\n' "$ocattach_mark" "$1" "$2"; } ;;
    *)
        say() {
            cat <<LINE
$ocattach_mark $1=$2
LINE
        }
        ;;
esac

say_lines() { # KEY: reports each line of standard input
    sed "s/^/$ocattach_mark $1=/"
}

# Standard input has what must not be on a command line: "mark MARK", "export NAME=VALUE", "line VALUE" for a further
# line of that value, "unset NAME", "password VALUE"; then "end". Input without "end" is incomplete, because the
# connection was lost; the script exits without using it. For variables whose names this script or the shell has itself,
# "later LINE" is shell text that `launch` runs last, and "own LINE" words that it gives to env.
# The directory it starts in may have files of a repository, and PATH may have a relative entry: it leaves the directory.
read_input() {
    here=$PWD
    cd /
    complete=no
    password= given=" " later= own=
    while IFS= read -r line; do
        case "$line" in
            "mark "*) ocattach_mark=${line#mark } ;;
            "export "*)
                line=${line#export }
                name=${line%%=*} value=${line#*=}
                export "$name=$value"
                given="$given$name "
                ;;
            "line "*)
                value="$value
${line#line }"
                export "$name=$value"
                ;;
            "unset "*) unset "${line#unset }" ;;
            "later "*)
                later="$later${line#later }
"
                ;;
            "own "*)
                own="${own:+$own
}${line#own }"
                ;;
            "password "*) password=${line#password } ;;
            end) complete=yes; break ;;
        esac
    done
    [ "$complete" = yes ] || exit 1
    account_id=$(id -u)
    [ -n "${HOME:-}" ] || { account; HOME=${account_home:-/}; }
    export HOME
    private=
    find_unwritable
    case "$unwritable:$given" in
        :* | *" HOME "* | *" XDG_"*) ;; # what the connection sets is not replaced
        *) use_private_directory ;;
    esac
    records=${XDG_STATE_HOME:-$HOME/.local/state}/ocattach
}

# From the user database; both are empty for an account without an entry, as in many pods.
account() { # sets $account_home $account_shell
    entry=$(getent passwd "$account_id" 2>/dev/null || grep "^[^:]*:[^:]*:$account_id:" /etc/passwd 2>/dev/null)
    account_shell=${entry##*:}
    account_home=${entry%:*}
    account_home=${account_home##*:}
}

expand() { # DIRECTORY: sets $expanded, with ~ as this account's home
    case "$1" in
        "~") expanded=$HOME ;;
        "~/"*) expanded=$HOME/${1#"~/"} ;;
        *) expanded=$1 ;;
    esac
}

# OpenCode (1.18.33) makes four directories and exits if it cannot; an existing configuration may be read-only.
find_unwritable() { # sets $unwritable to the kinds of directories that cannot be made, $folder to what is not writable
    unwritable= unwritable_folder=
    for needed in DATA:.local/share/opencode STATE:.local/state/ocattach STATE:.local/state/opencode \
        CACHE:.cache/opencode CONFIG:.config/opencode; do
        kind=${needed%%:*} folder=${needed#*:}
        eval "folder=\${XDG_${kind}_HOME:-\$HOME/\${folder%/*}}/\${folder##*/}"
        if [ "$kind" = CONFIG ] && [ -d "$folder" ]; then continue; fi
        case "$folder" in /*) ;; *) folder=$here/$folder ;; esac
        while [ ! -e "${folder:-/}" ]; do folder=${folder%/*}; done
        if ! is_writable "$folder/"; then
            unwritable="$unwritable $kind"
            unwritable_folder=${unwritable_folder:-${folder:-/}}
        fi
    done
}

is_writable() { # DIRECTORY; for root, busybox's -w is true on read-only file systems, where touch fails
    [ -d "$1" ] && [ -w "$1" ] && { [ "$account_id" != 0 ] || touch -c -r "$1" "$1" 2>/dev/null || [ $? != 1 ]; }
}

# For an account without a home it can write to, as with a random user id on OpenShift. Not made before a daemon starts.
use_private_directory() {
    find_private_directory || return
    unwritable= unwritable_folder=
    for kind in DATA STATE CACHE CONFIG; do
        case "$kind" in CONFIG) [ ! -d "${XDG_CONFIG_HOME:-$HOME/.config}/opencode" ] || continue ;; esac
        export "XDG_${kind}_HOME=$private/$kind"
    done
    if [ "$HOME" = / ] || [ ! -d "$HOME" ]; then HOME=$private; fi
}

# Everybody can guess its name, so it is only used if it belongs to this account, and where only owners can rename.
find_private_directory() { # sets $private; fails if there is none
    for private in /var/tmp /tmp; do
        case "$(LC_ALL=C ls -ldL "$private" 2>/dev/null)" in d????????[tT]*) ;; *) continue ;; esac
        [ -w "$private" ] || continue
        private=$private/ocattach-home-$account_id
        if is_private "$private" || { [ ! -e "$private" ] && [ ! -L "$private" ]; }; then return 0; fi
    done
    private=
    return 1
}

# Another account may have made the directory, below a HOME in /tmp for example.
is_own() { # FILE: whether it belongs to this account and is not a symbolic link; sets $mode
    # shellcheck disable=SC2046 # split into columns
    set -- $(LC_ALL=C ls -ldn "$1" 2>/dev/null)
    mode=$1
    [ "${3:-}" = "$account_id" ] && case "$mode" in l*) false ;; esac
}

is_private() { # FILE: whether it also cannot be written by other accounts
    is_own "$1" && case "$mode" in ?????w* | ????????w*) false ;; esac
}

pause() { sleep 0.02 2>/dev/null || sleep 1; }
