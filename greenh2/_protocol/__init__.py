"""HTTP/1.1 and HTTP/2 without I/O: bytes go in, events come out; nothing here can wait or switch greenlets."""
