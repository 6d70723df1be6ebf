"""Parties, wire, ledger, storage and command line; the only layer that opens files, sockets and clocks."""

import os

# Certificates here are ECDSA only. gRPC's Python interface sets no floor for the TLS version, but reads, when it is
# first imported, which cipher suites TLS 1.2 may use: one that needs an RSA certificate leaves only TLS 1.3 to agree
# on. (A program that imports grpc before this package keeps gRPC's default, TLS 1.2 or 1.3.)
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"
