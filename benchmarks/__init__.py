"""The same jobs through greenh2 and its peers, side by side: ``python -m benchmarks`` from a checkout."""
