"""Adapters put greenh2 beneath clients that a program has already; each needs that client, and none is imported here.

`greenh2.adapters.requests` is for requests, `greenh2.adapters.httpx` for httpx, `greenh2.adapters.httpx2` for httpx2.
"""
