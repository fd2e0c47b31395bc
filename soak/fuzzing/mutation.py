"""Sound inputs made unsound: a few cuts, flips and tokens each, from a seed."""

import random
from collections.abc import Sequence

TOKENS = (
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b"\r\n", b"\r", b" ", b";", b"\t"),
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1e-999", b"-0", b"01", b"1.", b".5"),
    *(b"9" * 19, b"9" * 400, b"0." + b"1" * 400, b"1_0", b"0x1f", b"\xd9\xa1", b"1e5"),
    *(b'"instances"', b'"instances":', b'"inputs":', b'"RM":', b"RM", b"[" * 2000, b'{"a":' * 500),
)


class Mutator:
    """Draw inputs from sound ones.

    Parameters
    ----------
    rng : random.Random
    sound : sequence of bytes
        To start from; none empty.
    """

    def __init__(self, rng: random.Random, sound: Sequence[bytes]) -> None:
        self._rng = rng
        self._sound = sound

    def draw(self) -> bytes:
        """Return a sound input after none to four changes."""
        body = bytearray(self._rng.choice(self._sound))
        for _ in range(self._rng.choice((0, 1, 1, 2, 4))):
            change = self._rng.choice((self._flip, self._insert, self._cut, self._repeat))
            change(body)
        return bytes(body)

    def _flip(self, body: bytearray) -> None:
        if body:
            body[self._rng.randrange(len(body))] ^= 1 << self._rng.randrange(8)

    def _insert(self, body: bytearray) -> None:
        place = self._rng.randrange(len(body) + 1)
        body[place:place] = self._rng.choice(TOKENS)

    def _cut(self, body: bytearray) -> None:
        begin, end = self._slice(body)
        del body[begin:end]

    def _repeat(self, body: bytearray) -> None:
        begin, end = self._slice(body)
        body[end:end] = body[begin:end]

    def _slice(self, body: bytearray) -> tuple[int, int]:
        begin = self._rng.randrange(len(body) + 1)
        return begin, min(len(body), begin + self._rng.choice((1, 2, 8, 64)))
