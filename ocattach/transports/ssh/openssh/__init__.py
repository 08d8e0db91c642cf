"""The ssh client that runs OpenSSH."""
