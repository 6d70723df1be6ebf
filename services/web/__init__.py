"""A party's second door, over HTTP: its services as JSON for curl and browsers, one page to read, health and metrics.

TLS 1.3, as everywhere. The services ask for the caller's certificate and go through the same gate as gRPC
(:mod:`services.web.connect`); the page and what it shows are public and need none (:mod:`services.web.page`).
"""
