"""Laptops and desks."""

from tests.main_job.conftest import laptop, new_laptop
from tests.survey.conftest import desk

__all__ = ["desk", "laptop", "new_laptop"]
