"""A whole network on one machine, every party a process of its own: for trying things out and for developing against.

One folder holds everybody's keys, so whoever can read it is everybody: trust is what it does not show.
"""
