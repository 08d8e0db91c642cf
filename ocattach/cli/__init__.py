"""The command line: the only room that prints, prompts or exits."""

from ocattach.cli.main import main

__all__ = ["main"]
