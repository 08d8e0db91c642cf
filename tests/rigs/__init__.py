"""Real engines, hosts and terminals for tests and benchmarks, started from what this machine has installed.

Nothing is fetched and nothing of the machine's own services is touched. Each rig ends with the process that
started it, also when that process is killed.
"""
