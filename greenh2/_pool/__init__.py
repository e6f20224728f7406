"""Which connection carries a request, and when: lanes decide, the pool waits, the reaper closes."""
