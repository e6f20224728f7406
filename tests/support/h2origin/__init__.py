"""A test origin speaking HTTP/2 and HTTP/1.1, in a process of its own so that it shares no loop with clients.

``python -m tests.support.h2origin`` is one process that houses any number of origins. It is driven by JSON
lines on its standard input and answers on its standard output; tests/support/origins.py is the other end. It
runs on asyncio, which is on purpose not what it tests.
"""
