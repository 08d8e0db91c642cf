"""How many environments stand, found out side by side and within one deadline; nothing is started by it."""

from ocattach.survey.finding import Finding, State
from ocattach.survey.survey import Survey

__all__ = ["Finding", "State", "Survey"]
