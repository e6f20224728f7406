"""The hosts in which greenh2 works, and the examples for them: run with `tox run -e hosts`."""
