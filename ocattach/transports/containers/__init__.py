"""Containers of Docker and Podman, which speak one API and differ in where their engine is."""
