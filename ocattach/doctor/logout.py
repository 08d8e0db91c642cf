"""Whether a daemon goes on when its user logs out of a system with systemd-logind."""

from ocattach.doctor.ladder import StepWarning

SCRIPT = r"""
[ -d /run/systemd/system ] || exit 0
user=$(id -un)
folders="/usr/lib/systemd /run/systemd /etc/systemd"
kill=
for folder in $folders; do
    found=$(sed -n 's/^#*KillUserProcesses=//p' "$folder/logind.conf" 2>/dev/null | tail -n 1)
    kill=${found:-$kill}
done
for folder in $folders; do
    for file in "$folder"/logind.conf.d/*.conf; do
        found=$(sed -n 's/^KillUserProcesses=//p' "$file" 2>/dev/null | tail -n 1)
        kill=${found:-$kill}
    done
done
linger=$(loginctl show-user "$user" --property=Linger 2>/dev/null)
[ ! -e "/var/lib/systemd/linger/$user" ] || linger=Linger=yes
manager=$(sed -n 's/.*\/user@[0-9]*[.]service.*/yes/p' /proc/self/cgroup | tail -n 1)
echo "logind:$kill:${linger#*=}:$manager"
"""
"""Prints one line if systemd runs there: the settings, and whether commands belong to the user's service manager.

logind.conf(5); its line that is commented out has the default of the distribution. sd_booted(3); loginctl(1).
"""

MARK = "logind:"
YES = {"yes", "true", "1", "on"}


def check_logout(report: str, user: str) -> str:
    """Return what becomes of a daemon at logout, by the line of SCRIPT. Raises StepWarning if it would end."""
    kills, lingers, in_manager = (word.lower() in YES for word in report.removeprefix(MARK).split(":"))
    if kills and user != "root":  # KillExcludeUsers is root by default
        raise StepWarning(
            f"systemd-logind ends the daemon when {user} logs out (KillUserProcesses=yes); to keep it: "
            f"loginctl enable-linger, and KillExcludeUsers=root {user} in /etc/systemd/logind.conf"
        )
    if in_manager and not lingers:
        raise StepWarning(
            f"the daemon ends with the last session of {user}, whose service manager it belongs to; "
            "to keep it: loginctl enable-linger"
        )
    return "the daemon goes on"
