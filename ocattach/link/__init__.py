"""The link: a background process for each connected environment, like ssh's ControlPersist.

It keeps the tunnel open, so that the next `ocattach NAME` needs no dial.
"""
