# Functions that find the opencode program, for probe.sh. Need environment.sh and login.sh.
# Each path without a usable program is reported as "tried=REASON:DETAIL:PATH"; unusable.py has the reasons.

tried() { # REASON DETAIL-OR-EMPTY PATH
    say tried "$1:$2:$3"
}

# Checks the file's mode and its first bytes only. Running it would take most of a second.
usable() { # FILE: succeeds if it can run here, else sets $reason and $detail
    reason=absent detail=
    if [ ! -e "$1" ]; then
        [ -L "$1" ] && reason=dangling
        return 1
    fi
    [ -d "$1" ] && reason=folder && return 1
    [ -x "$1" ] || { reason=not-executable; return 1; }
    [ -s "$1" ] || { reason=empty; return 1; }
    head=$(dd if="$1" bs=1024 count=1 2>/dev/null | LC_ALL=C tr -c '!-~' '\n')
    case "$head" in
        *postinstall?script?was?not?run*) reason=stub; return 1 ;;
        ?ELF*) usable_elf ;;
        '#!'*) usable_script "$1" ;;
        *) usable_other "$1" ;;
    esac
}

# The kernel reports a missing loader as "not found", as if the program itself were missing.
usable_elf() { # expects the file's beginning in $head
    set -f
    for detail in $head; do
        case "$detail" in /*/ld*.so*) break ;; esac
        detail=
    done
    set +f
    # The low byte of e_machine, after 18 others: ">" is x86-64; that of 64-bit ARM cannot be printed.
    case "$machine:$head" in
        x86_64:??????????????????'>'* | amd64:??????????????????'>'*) ;;
        x86_64:* | amd64:* | aarch64:??????????????????[[:graph:]]* | arm64:??????????????????[[:graph:]]*)
            reason=architecture
            return 1
            ;;
    esac
    [ "$kernel" != Darwin ] || { reason=system; return 1; }
    [ -z "$detail" ] || [ -e "$detail" ] || { reason=libc; return 1; }
}

usable_script() { # FILE; expects its beginning in $head
    # WSL has npm's folder of Windows on the PATH: a script for its own shells beside a .cmd file.
    IFS= read -r first <"$1"
    case "$first" in *"$(printf '\r')") reason=system; return 1 ;; esac
    [ ! -e "$1.cmd" ] || { reason=system; return 1; }
    set -f
    # shellcheck disable=SC2086 # split into words
    set -- ${head#"#!"}
    set +f
    [ -e "$1" ] || { reason=interpreter detail=$1; return 1; }
    case "$1:${2:--}" in
        */env:-*) ;;
        */env:*) command -v "$2" >/dev/null || { reason=interpreter detail=$2; return 1; } ;;
    esac
}

usable_other() { # FILE: a program of macOS or Windows, or text that the shell runs
    case "$kernel:$(od -An -tx1 -N4 "$1" 2>/dev/null | tr -d ' ')" in
        Darwin:*) ;;
        *:cffaedfe | *:cafebabe | *:4d5a*) reason=system; return 1 ;;
    esac
}

consider() { # FILE: reports "opencode" and succeeds if it can be used, else reports why not
    if usable "$1"; then
        say opencode "$1"
        return 0
    fi
    if [ "$reason" = stub ]; then package_of "$1"; fi
    tried "$reason" "$detail" "$1"
    [ "$reason" = stub ] && beside_stub
}

package_of() { # FILE: sets $detail to the folder of the package that its program belongs to
    detail=$1
    hops=0
    while [ -L "$detail" ] && [ "$hops" -lt 20 ]; do
        target=$(readlink "$detail")
        case "$target" in /*) detail=$target ;; *) detail=${detail%/*}/$target ;; esac
        hops=$((hops + 1))
    done
    detail=$(cd -P "${detail%/*}/.." && pwd)
}

# If npm may not run the package's script, the program is a stub; the program that the script would have
# copied is in another package, below the stub's (npm install -g) or beside it.
beside_stub() { # expects the stub's package in $detail
    for modules in "$detail/node_modules" "${detail%/*}"; do
        # The default build for x64 needs AVX2; the baseline build does not.
        for found in "$modules"/opencode-*4/bin/opencode "$modules"/opencode-*4-musl/bin/opencode \
            "$modules"/opencode-*-baseline*/bin/opencode; do
            case "$found" in
                *-baseline* | *-arm64*) ;;
                *) ! [ -r /proc/cpuinfo ] || grep -qw avx2 /proc/cpuinfo || continue ;;
            esac
            if usable "$found"; then
                say opencode "$found"
                return 0
            fi
        done
    done
    return 1
}

search_path() { # NAME: searches the folders of $PATH; NAME is its origin, for the report
    name=$1
    old_ifs=$IFS
    IFS=:
    set -f
    # shellcheck disable=SC2086 # split at colons
    set -- $PATH
    set +f
    IFS=$old_ifs
    for folder; do
        case "$folder" in /*) ;; *) continue ;; esac
        if [ -e "$folder/opencode" ] || [ -L "$folder/opencode" ]; then
            consider "$folder/opencode" && return 0
        fi
    done
    tried absent "" "$name ($PATH)"
    return 1
}

search_folder() { # FOLDER: unless it is in $PATH, which was searched before
    case ":$PATH:" in *":$1:"*) return 1 ;; esac
    consider "$1/opencode"
}

npm_prefix() { # sets $prefix to npm's configured global prefix, without running npm
    prefix=${NPM_CONFIG_PREFIX:-${npm_config_prefix:-}}
    if [ -z "$prefix" ] && [ -r "$HOME/.npmrc" ]; then
        while IFS=' =' read -r key value; do
            [ "$key" != prefix ] || prefix=$value
        done <"$HOME/.npmrc"
    fi
    case "$prefix" in
        "\${HOME}/"*) prefix=$HOME/${prefix#"\${HOME}/"} ;;
        *) expand "$prefix"; prefix=$expanded ;;
    esac
}

search_installed() { # where OpenCode's installer, Bun and npm install it
    npm_prefix
    for folder in "$HOME/.opencode/bin" "$HOME/.local/bin" "$HOME/bin" "$HOME/.bun/bin" ${prefix:+"$prefix/bin"} \
        "$HOME/.npm-global/bin" "${PNPM_HOME:-$HOME/.local/share/pnpm}" /usr/local/bin /opt/homebrew/bin; do
        search_folder "$folder" && return 0
    done
    return 1
}

search_login_path() {
    login_path
    case "$answer" in
        "") tried silent "" "login shell ${shell:-unknown}" ;;
        ocattach-late) tried late "$ask_seconds" "login shell $shell" ;;
        "$PATH") tried same "" "login shell $shell" ;;
        *)
            join_paths "$login_first"
            say path "$PATH"
            search_path "login shell $shell" && return 0
            ;;
    esac
    return 1
}

search_npm() { # after search_login_path: only the login shell's PATH may have npm
    command -v npm >/dev/null || { tried absent "" "npm prefix -g (no npm)"; return 1; }
    answer=$(within_deadline npm prefix -g | sed -n '/^\//p; /^ocattach-late$/p' | sed -n '$p')
    case "$answer" in
        "") tried silent "" "npm prefix -g" ;;
        ocattach-late) tried late "$ask_seconds" "npm prefix -g" ;;
        *) search_folder "$answer/bin" && return 0 ;;
    esac
    return 1
}

search_node_versions() { # of version managers, if the login shell does not print its PATH
    for folder in "${NVM_DIR:-$HOME/.nvm}"/versions/node/*/bin "$HOME"/.local/share/fnm/node-versions/*/installation/bin \
        "$HOME"/.volta/bin "$HOME"/.asdf/installs/nodejs/*/bin "$HOME"/.local/share/mise/installs/node/*/bin; do
        search_folder "$folder" && return 0
    done
    return 1
}

find_quickly() { # PATH-OR-EMPTY: runs no program of the environment
    if [ -n "$1" ]; then
        expand "$1"
        consider "$expanded"
    else
        search_path PATH || search_installed
    fi
}

find_slowly() {
    search_login_path || search_npm || search_node_versions
}
