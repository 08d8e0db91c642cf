"""The link: a background process for each connected environment, as ssh's ControlPersist is.

It holds the tunnel, so that the second `ocattach NAME` finds everything as it was and dials nothing.
"""
