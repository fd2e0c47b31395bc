"""One loaded model, and the one way to its predictions, whatever the protocol."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from model_server.errors import ModelNotFound, RequestError, Unexpected
from model_server.formats.codec import BLOCK_BYTES, Reader, Writer
from model_server.inference.batching import Batcher
from model_server.inference.executor import Executors
from model_server.inference.in_flight import need
from model_server.metrics import Durations
from model_server.model.directory import ModelDirectory
from model_server.model.loading import check_golden
from model_server.model.runtime import Runtime
from model_server.model.signature import Signature

log = logging.getLogger("model_server")

_COPIES = 3
"""Of the rows: as they were read, as a worker process or a model's own dtype has them, and one that
the model makes. Of a text among the predictions: in the array, as an object, and written."""

_OBJECT_BYTES = 256
"""What a prediction takes on top that is written as an object of Python's."""


_FEW = 64


class Served:
    """A model that is loaded and answers.

    Parameters
    ----------
    directory : ModelDirectory
        Checked.
    runtime : Runtime
        Loaded from it.
    executors : Executors
        Of the server; this model gets one of its own.
    rows_limit : int
        Most rows of one request.
    name : str, optional
        The manifest's by default.

    Attributes
    ----------
    ready : bool
        Whether it answered its golden rows when it was last looked at.
    reading, predicting, writing : Durations
        Of the stages of all requests: until their rows are read, until these are predicted, the
        wait included, and until the answer is written.
    """

    def __init__(
        self,
        directory: ModelDirectory,
        runtime: Runtime,
        executors: Executors,
        rows_limit: int,
        name: str | None = None,
    ) -> None:
        self.name = name or directory.manifest.name
        self.manifest = directory.manifest
        self.signature = Signature(directory.manifest)
        self.ready = True
        self.reading, self.predicting, self.writing = Durations(), Durations(), Durations()
        self._directory = dataclasses.replace(directory, model=b"")  # the runtime made its own
        self._runtime = runtime
        self._executor = executors.make(runtime.concurrency)
        self._turns = executors.turns
        self._rows_limit = rows_limit
        golden = self.signature.golden.items()
        self._text_bytes = {name: values.dtype.itemsize for name, values in golden}
        self._known_row_bytes: dict[tuple[tuple[str, ...], int], int] = {}
        self._batcher = Batcher(runtime, self.signature, self._executor, rows_limit)

    async def predict(
        self,
        body: Any,
        length_bytes: int,
        reader: Reader,
        writer: Writer,
        asked: Sequence[str] = (),
    ) -> Any:
        """Answer a request: admit it, read it, queue and predict its rows, write the answer.

        Parameters
        ----------
        body : object
            What `reader` reads.
        length_bytes : int
            About how long it is, so that it is refused before it is read.
        reader : Reader
        writer : Writer
        asked : sequence of str, optional
            The outputs that it is to get; by default those that its body names, or the model's
            usual ones.

        Returns
        -------
        object
            What `writer` writes.

        Raises
        ------
        RequestError
            `Unexpected` where the fault is the model's.
        """
        try:
            begun_s = perf_counter()
            self._batcher.check(length_bytes)
            names = self.signature.asked(reader.asked(body))
            if asked:
                names = self.signature.asked(asked)
            row_bytes = self._row_bytes(names, writer.number_bytes)
            need(self._reading_bytes(body, length_bytes, row_bytes))
            if length_bytes <= BLOCK_BYTES:
                X = reader.read(body, self.signature.columns)
            else:
                X = await self._turns.take(reader.steps(body, self.signature.columns))
            need(len(X) * row_bytes)
            read_s = perf_counter()
            self.reading.observe(read_s - begun_s)
            answers = await self._batcher.submit(X, names)
            predicted_s = perf_counter()
            self.predicting.observe(predicted_s - read_s)
            answer = writer.write(answers)
            self.writing.observe(perf_counter() - predicted_s)
        except RequestError:
            raise
        except Exception as error:
            log.exception("a prediction of %s failed", self.name)
            raise Unexpected(error) from error
        return answer

    def check_version(self, version: str) -> None:
        """See that a version that is asked for is this one.

        Raises
        ------
        ModelNotFound
        """
        if version != self.manifest.version:
            raise ModelNotFound(
                f"Model {self.name} has no version {version!r:.80}; its version is "
                f"{self.manifest.version}"
            )

    @property
    def concurrency(self) -> int:
        """How many requests it predicts at the same time."""
        return self._executor.n_threads

    @property
    def platform(self) -> str:
        """What runs it."""
        return self._runtime.name

    @property
    def narrow(self) -> frozenset[str]:
        """The features whose numbers it reads as float32."""
        return self._runtime.narrow

    @property
    def stuck(self) -> bool:
        """Whether its predictions have not returned for so long that they never may."""
        return self._executor.stuck

    def _reading_bytes(self, body: Any, length_bytes: int, row_bytes: int) -> int:
        """Return the most memory that a body takes; that of its rows, where that is more.

        So a long one is not read in vain: there are no more cells than commas and ends of lines.
        """
        read_bytes = self.signature.columns.memory_factor * length_bytes
        if length_bytes <= BLOCK_BYTES or not isinstance(body, bytes):
            return read_bytes
        n_features = len(self.signature.columns.names)
        n_cells = body.count(b",") + max(body.count(b"\n"), body.count(b"\r"))
        n_rows = min(n_cells // n_features + 1, self._rows_limit)
        return max(read_bytes, n_rows * row_bytes)

    def _row_bytes(self, names: tuple[str, ...], number_bytes: int) -> int:
        """Return what the next does, kept for a few; a cache of a method would keep this model."""
        known, asked = self._known_row_bytes, (names, number_bytes)
        if asked not in known:
            if len(known) >= _FEW:
                known.clear()
            known[asked] = self._most_row_bytes(names, number_bytes)
        return known[asked]

    def _most_row_bytes(self, names: Sequence[str], number_bytes: int) -> int:
        """Return the most memory that a row takes until it is answered."""
        row_bytes = self.signature.columns.row_bytes * _COPIES
        for name in names:
            output = self.signature.outputs[name]
            value_bytes = number_bytes
            if output.shape or output.type == "text" or len(names) > 1:
                value_bytes += _OBJECT_BYTES + _COPIES * self._text_bytes.get(name, 0)
            row_bytes += math.prod(output.shape) * value_bytes
        return row_bytes

    async def check(self) -> None:
        """Predict the golden rows once more, behind what waits for the threads.

        Raises
        ------
        ModelDirectoryError
            If they come out differently.
        Overloaded
            If they are not begun in time.
        """
        cost_s = self._batcher.cost_s(len(self.signature.golden_X))
        await self._executor.submit(
            cost_s, lambda: check_golden(self._directory, self.signature, self._runtime)
        )
