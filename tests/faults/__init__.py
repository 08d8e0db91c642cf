"""The fault bench: what becomes of prompts, event streams and the TUI while what carries them fails.

`make faults` runs its long form, the tests its short one. Everything in it is real but the model.
"""
