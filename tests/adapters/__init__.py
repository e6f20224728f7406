"""Other clients over greenh2."""
