"""All knowledge of OpenCode itself: its HTTP API, its command line, what its versions can do.

No other room knows an OpenCode URL or flag. Facts are those of OpenCode 1.18.33, seen by running it.
"""
