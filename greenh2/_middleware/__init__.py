"""One file, one concern: each middleware is a `Request -> Response` which holds the next one."""
