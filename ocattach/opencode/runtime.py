"""OpenCode's own JavaScript runtime, Bun, as an interpreter for other programs."""

AS_BUN = 'cd /; export BUN_BE_BUN=1; exec "$0" "$@"'


def javascript_argv(program: str, source: str) -> list[str]:
    """Return the command that runs JavaScript in the `opencode` at this path.

    A program compiled by Bun behaves as `bun` where BUN_BE_BUN=1 is set (bun.sh/docs/bundler/executables).
    It does not run in the working directory, whose package.json, tsconfig.json and node_modules it would read; the two
    flags keep it from reading .env and bunfig.toml.
    """
    return ["sh", "-c", AS_BUN, program, "--config=/dev/null", "--no-env-file", "-e", source]
