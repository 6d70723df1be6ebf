"""Measurements beside the field's best, in one run, with every result compared before a time is kept.

``zkshare bench`` is the way in; ``benchmarks/README.md`` says how a run is made and what its record holds.
"""
