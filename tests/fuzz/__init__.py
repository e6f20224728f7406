"""A fuzzer over the whole client: answers of servers, valid ones mutated at random, through real sockets.

`python -m tests.fuzz --cases 20000 --seed 1` runs many; `--case 17` runs one of them alone.
"""
