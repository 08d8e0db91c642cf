# The PATH of the account's login shell. Needs environment.sh and processes.sh.

ask_seconds=5 # deadline for programs that may hang: the login shell, npm

# Background processes of the command may keep the pipe open, so its whole process group is killed.
within_deadline() { # COMMAND...: runs it with empty input and prints its output; "ocattach-late" if the deadline passed
    session=
    if command -v setsid >/dev/null; then session=setsid; else set -m; fi
    $session "$@" </dev/null 2>/dev/null &
    asked=$!
    attempts=$((ask_seconds * 40)) # pauses, each about 25 ms
    while start_time "$asked"; do
        attempts=$((attempts - 1))
        [ "$attempts" -gt 0 ] || { printf '\nocattach-late\n'; break; }
        pause
    done
    # shellcheck disable=SC2046 # split into pids
    kill -KILL "$asked" $(processes pgid "$asked") 2>/dev/null
}

# Interactive, since .bashrc, which nvm and others use to set PATH, often returns early otherwise.
# The command must work in sh, csh and fish. Their profiles may print anything before its output.
login_path() { # sets $answer to the PATH of the login shell; empty without one
    shell=${SHELL:-}
    [ -n "$shell" ] || { account; shell=$account_shell; }
    answer=
    case "${shell##*/}" in "" | nologin | false) return ;; esac
    # shellcheck disable=SC2016 # expanded there
    question='sh -c '\''echo; echo "ocattach-path=$PATH"'\'
    case "${shell##*/}" in
        csh | tcsh) set -- -c "if ( -r ~/.login ) source ~/.login; $question" ;; # -l cannot be combined with other options
        *) set -- -l -i -c "$question" ;;
    esac
    answer=$(within_deadline "$shell" "$@" | sed -n 's/^.*ocattach-path=//p; /^ocattach-late$/p' | sed -n 1p)
}

# Over ssh and on this machine a person has the PATH of the login shell; in a container that of the image.
join_paths() { # "login" or "": sets $PATH to itself and the PATH in $answer, that of the login shell first or last
    second=$answer joined=$PATH
    if [ -n "$1" ]; then second=$PATH joined=$answer; fi
    old_ifs=$IFS
    IFS=:
    set -f
    for folder in $second; do
        case ":$joined:" in *":$folder:"*) ;; *) joined=$joined:$folder ;; esac
    done
    set +f
    IFS=$old_ifs
    PATH=$joined
}
