"""Stock KServe: one joblib file, served as KServe's own sklearnserver serves it.

The model does what ``sklearnserver/model.py`` of KServe 0.21 (Apache-2.0) does, but reads a local
file. Everything else, gRPC and the line logged a request with it, is KServe's default; KServe reads
``--http_port``, ``--grpc_port`` and ``--model_name`` itself.
"""

import argparse
from typing import Any

import joblib
import kserve
from kserve.errors import InferenceError
from kserve.model_server import parser as kserve_parser
from kserve.utils.utils import get_predict_input, get_predict_response


class SKLearnModel(kserve.Model):  # type: ignore[misc]
    """An estimator behind KServe's protocols."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self._path = path

    def load(self) -> bool:
        """Unpickle the estimator."""
        self._model = joblib.load(self._path)
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ARG002
        """Predict on the event loop."""
        try:
            result = self._model.predict(get_predict_input(payload))
            return get_predict_response(payload, result, self.name)
        except Exception as error:
            raise InferenceError(str(error)) from error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.stock", parents=[kserve_parser])
    parser.add_argument("model_file")
    arguments = parser.parse_args()
    model = SKLearnModel(arguments.model_name, arguments.model_file)
    model.load()
    kserve.ModelServer().start([model])
