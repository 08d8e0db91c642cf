"""How many environments stand, found out side by side and within one deadline; nothing is started by it."""
