"""Mutation: what becomes of the pieces of a transcript by accident or by malice."""

from collections.abc import Callable
from random import Random

from tests.fuzz.transcripts import Stage, Transcript


def flip(random: Random, stage: Stage) -> None:
    at = random.randrange(len(stage))
    piece = bytearray(stage[at])
    for _ in range(random.choice([1, 1, 1, 8])):
        piece[random.randrange(len(piece))] ^= 1 << random.randrange(8)
    stage[at] = bytes(piece)


def tamper_with_head(random: Random, stage: Stage) -> None:
    """Change one of the first nine bytes, which are length, type, flags and stream of a frame."""
    at = random.randrange(len(stage))
    piece = bytearray(stage[at])
    piece[random.randrange(min(9, len(piece)))] = random.choice([0, 1, 2, 3, 4, 5, 8, 9, 127, 255])
    stage[at] = bytes(piece)


def cut(random: Random, stage: Stage) -> None:
    at = random.randrange(len(stage))
    stage[at] = stage[at][: random.randrange(len(stage[at]))] or b"\0"


def end(random: Random, stage: Stage) -> None:
    del stage[random.randrange(len(stage)) + 1 :]


def leave_out(random: Random, stage: Stage) -> None:
    if len(stage) > 1:
        del stage[random.randrange(len(stage))]


def say_again(random: Random, stage: Stage) -> None:
    at = random.randrange(len(stage))
    stage[at:at] = [stage[at]] * random.choice([1, 1, 3, 50])


def swap(random: Random, stage: Stage) -> None:
    one, other = random.randrange(len(stage)), random.randrange(len(stage))
    stage[one], stage[other] = stage[other], stage[one]


def insert(random: Random, stage: Stage) -> None:
    garbage = random.choice(
        [random.randbytes(random.randrange(1, 40)), b"\0" * 9, b"\r\n", b"HTTP/1.1 200 OK\r\n"]
    )
    stage.insert(random.randrange(len(stage) + 1), garbage)


def splice(random: Random, stage: Stage) -> None:
    """Put the end of one piece behind the beginning of another."""
    one, other = random.choice(stage), random.choice(stage)
    at = random.randrange(len(stage))
    stage[at] = one[: random.randrange(len(one) + 1)] + other[random.randrange(len(other) + 1) :] or b"\0"


MUTATIONS: list[Callable[[Random, Stage], None]] = [
    flip,
    tamper_with_head,
    tamper_with_head,
    cut,
    end,
    leave_out,
    say_again,
    swap,
    insert,
    splice,
]


def mutate(random: Random, transcript: Transcript) -> Transcript:
    """Return a transcript in which up to three things have happened; now and then none."""
    mutated = [list(stage) for stage in transcript]
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        random.choice(MUTATIONS)(random, random.choice(mutated))
    return mutated


def portions(random: Random, wire: bytes) -> list[bytes]:
    """Cut what is to be written into portions."""
    many = random.choice([0, 0, 1, 3, 10])
    cuts = sorted(random.randrange(len(wire) + 1) for _ in range(many))
    return [wire[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
