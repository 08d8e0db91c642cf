"""Measurements against the same work done by hand, in the same run and taking turns. `make bench` runs them.

One module per measurement; each says in its first lines what is compared with what. What is printed are ratios
and differences: a number of milliseconds alone says more about the machine than about ocattach.
"""
