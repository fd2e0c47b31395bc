"""Tensors in binary: values one after the other, little-endian, as v2 has them in every carrier.

A text stands behind its length in four bytes.

Source: Triton's ``extension_binary_data.md``.
"""

import itertools
import struct
from collections.abc import Iterator

import numpy as np

from model_server.formats.tensors import BLOCK_CELLS, BYTES, Cells, InputTensor, Tensor

_PREFIX = struct.Struct("<I")
"""How long a text is that follows."""


class BinaryData:
    """Values one after the other, little-endian; each text behind its length in four bytes."""

    def __init__(self, buffer: bytes | memoryview) -> None:
        self._buffer = buffer

    def check(self, tensor: InputTensor) -> None:
        """See `Data.check`."""
        least_bytes = tensor.size * (4 if tensor.datatype == BYTES else tensor.dtype.itemsize)
        given = len(self._buffer)
        if given < least_bytes or (given > least_bytes and tensor.datatype != BYTES):
            raise tensor.wrong_size(given, f"bytes, of {least_bytes},")

    def blocks(self, tensor: InputTensor) -> Iterator[Cells]:
        """See `Data.blocks`."""
        if tensor.datatype == BYTES:
            texts = self._texts(tensor)
            while block := list(itertools.islice(texts, BLOCK_CELLS)):
                yield block
            return
        values = np.frombuffer(self._buffer, tensor.dtype)
        for begin in range(0, len(values), tensor.block_size):
            yield values[begin : begin + tensor.block_size]

    def _texts(self, tensor: InputTensor) -> Iterator[str]:
        at, count = 0, 0
        while at < len(self._buffer):
            if at + _PREFIX.size > len(self._buffer):
                raise tensor.wrong(f"text {count + 1} has no length in four bytes")
            [length] = _PREFIX.unpack_from(self._buffer, at)
            at += _PREFIX.size
            if at + length > len(self._buffer):
                left = len(self._buffer) - at
                raise tensor.wrong(f"text {count + 1} is to have {length} bytes, and {left} follow")
            yield decoded(bytes(self._buffer[at : at + length]), tensor, count)
            at += length
            count += 1
        if count != tensor.size:
            raise tensor.wrong_size(count, "texts")


def decoded(text: bytes, tensor: InputTensor, place: int) -> str:
    """Return a text of a tensor.

    Raises
    ------
    BadRequest
    """
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise tensor.wrong(f"text {place + 1} is not UTF-8: {error}") from None


def binary(tensor: Tensor) -> bytes:
    """Return a tensor's values one after the other."""
    values = tensor.array
    if tensor.datatype != BYTES:
        return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = (str(value).encode() for value in values.ravel())
    return b"".join(part for text in texts for part in (_PREFIX.pack(len(text)), text))
