"""A soak: mixed requests to real servers that are restarted under load, by greenlets that are killed at times."""
