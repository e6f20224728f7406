"""The protocols, driven in memory: no socket, no greenlet, no clock."""
