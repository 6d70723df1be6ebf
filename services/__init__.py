"""Parties, wire, ledger, storage and command line; the only layer that opens files, sockets and clocks."""
