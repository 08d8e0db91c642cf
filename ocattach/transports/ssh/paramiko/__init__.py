"""The ssh client for machines without OpenSSH, on paramiko's public API."""

from ocattach.transports.optional import without_module

# paramiko/config.py (5.1) imports invoke, and with it a YAML parser, for "Match exec", which needs OpenSSH here.
with without_module("invoke"):
    import paramiko  # noqa: F401
