"""All faults, by name, in the order in which the table has them."""

from collections.abc import Mapping

from tests.faults import engines, laptops, load, network, processes
from tests.faults.fault import Fault

ALL: tuple[type[Fault], ...] = (
    processes.LinkKilled,
    processes.RelayKilled,
    processes.EightClients,
    processes.DaemonKilled,
    processes.DaemonSlow,
    processes.DaemonKilledPastTheLink,
    engines.EngineKilled,
    engines.ContainerStopped,
    engines.ContainerRestarted,
    engines.SessionKilled,
    engines.SshdKilled,
    engines.PodDeleted,
    engines.KubeletRestarted,
    engines.ApiserverRestarted,
    network.ConnectionsReset,
    network.PacketsDropped,
    network.PacketsDroppedForHalfAMinute,
    network.PacketsDroppedForTwoMinutes,
    network.SlowAndLossy,
    processes.Asleep,
    processes.AsleepForLong,
    processes.ClockJump,
    laptops.DiskFull,
    laptops.StateReadOnly,
    laptops.TwoUsers,
    load.StopsReading,
    load.SendsMuch,
    load.ManyConnections,
)
FAULTS: Mapping[str, type[Fault]] = {fault.name: fault for fault in ALL}
