"""Statements as constraint systems: the builder, its gadgets and one file a circuit. May import :mod:`zkcore`."""
