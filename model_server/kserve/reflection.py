"""gRPC's reflection, by which clients such as grpcurl learn what can be called.

Source: gRPC's ``server-reflection.md``.
"""

import asyncio
from collections.abc import Sequence

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from model_server.errors import BadRequest, Overloaded, TooSlow
from model_server.kserve.reception import Reception

_STREAMS = 16
"""How many clients may ask at a time, as each has its answer for as long as it likes."""


class Reflection:
    """What answers those who ask.

    Parameters
    ----------
    services : sequence of str
        Their full names.
    reception : Reception
        What reads messages; a client may ask for as long as one may take.
    """

    def __init__(self, services: Sequence[str], reception: Reception) -> None:
        self._servicer = reflection.ReflectionServicer(services)
        self._reception = reception
        self._n_streams = 0

    async def answer(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """Answer what a client asks, one after the other.

        Raises
        ------
        RequestError
        """
        if self._n_streams >= _STREAMS:
            raise Overloaded("reflections")
        self._n_streams += 1
        try:
            async with asyncio.timeout(self._reception.timeout_s):
                while (message := await self._reception.next(context)) is not None:
                    for answer in self._answers(message):
                        await context.write(answer)
        except TimeoutError:
            raise TooSlow("reflection takes too long") from None
        finally:
            self._n_streams -= 1

    def _answers(self, message: bytes) -> list[bytes]:
        try:
            asked = reflection_pb2.ServerReflectionRequest.FromString(message)
        except DecodeError as error:
            raise BadRequest("the message is not what its call takes") from error
        told = self._servicer.ServerReflectionInfo(iter([asked]), None)
        return [answer.SerializeToString() for answer in told]
