"""What is told of the server and its models, over REST and gRPC alike.

Source: the Open Inference Protocol, ``inference_rest.md``, and of a model's configuration and
statistics Triton's ``extension_model_configuration.md`` and ``extension_statistics.md``.
"""

from typing import Any

from model_server import __version__
from model_server.formats.tensors import describe_inputs, describe_outputs
from model_server.inference.served import Served
from model_server.metrics import Durations

NAME = "sklearn-model-server"

_EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")
_REPOSITORY = "model_repository"

STAGES = ("success", "compute_input", "compute_infer", "compute_output")

_NS = 1_000_000_000
_CONFIGURED = {"BYTES": "STRING"}
"""Datatypes that are called otherwise in a configuration, behind ``TYPE_``."""


def of_server(*, repository_api: bool) -> dict[str, Any]:
    """Return the server's name and version, and what it does beside the protocol.

    Parameters
    ----------
    repository_api : bool
        Whether models may be loaded and unloaded.
    """
    extensions = [*_EXTENSIONS, *([_REPOSITORY] if repository_api else ())]
    return {"name": NAME, "version": __version__, "extensions": extensions}


def of_model(served: Served) -> dict[str, Any]:
    """Return a model's name, versions, platform, and the tensors that it takes and gives."""
    return {
        "name": served.name,
        "versions": [served.manifest.version],
        "platform": served.platform,
        "inputs": describe_inputs(served.signature.columns),
        "outputs": describe_outputs(served.signature.outputs.values()),
    }


def configuration(served: Served) -> dict[str, Any]:
    """Return a model's configuration; every dimension stands in it, that of the rows as well."""
    told = of_model(served)
    return {
        "name": served.name,
        "platform": served.platform,
        "max_batch_size": 0,
        "input": [_configured(tensor) for tensor in told["inputs"]],
        "output": [_configured(tensor) for tensor in told["outputs"]],
    }


def statistics(served: Served) -> dict[str, Any]:
    """Return how many requests a model has answered, and how long each stage took.

    Those that it refused are counted by the metrics alone.
    """
    answered = served.writing.cumulative()[-1]
    timed = (served.reading, served.predicting, served.writing)
    stages = dict(zip(STAGES, (timed, *((each,) for each in timed)), strict=True))
    return {
        "name": served.name,
        "version": served.manifest.version,
        "inference_count": answered,
        "inference_stats": {
            stage: {"count": answered, "ns": _sum_ns(*durations)}
            for stage, durations in stages.items()
        },
    }


def _sum_ns(*durations: Durations) -> int:
    return round(sum(each.sum_s for each in durations) * _NS)


def _configured(tensor: dict[str, Any]) -> dict[str, Any]:
    datatype = _CONFIGURED.get(tensor["datatype"], tensor["datatype"])
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"]}
