"""What the ladder is climbed on."""

from tests.main_job.conftest import laptop

__all__ = ["laptop"]
