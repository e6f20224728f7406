"""The nouns of HTTP: requests, responses and their parts.  Values and pure functions, no I/O."""
