"""The tests of greenh2: they mirror its rooms, and lean on the peers and servers in tests/support."""
