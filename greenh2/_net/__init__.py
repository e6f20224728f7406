"""Gevent sockets, TLS, names and time: the only rooms, with the pool and the connections, that may wait."""
