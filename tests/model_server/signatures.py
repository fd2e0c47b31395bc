"""A signature for a model that is tried without a directory."""

from model_server.model.columns import Matrix
from model_server.model.manifest import Conversion, Feature, Golden, Manifest, Target
from model_server.model.outputs import told
from model_server.model.runtime import Runtime
from model_server.model.signature import Signature


def signature(runtime: Runtime, X: Matrix) -> Signature:
    """Return that of a model which answers rows of shape (n_rows, n_features)."""
    golden = Golden(
        instances=tuple(map(tuple, X.tolist())),
        predictions=told(runtime.answer(X, ("prediction",))["prediction"]),
    )
    return Signature(
        Manifest(
            name="tried",
            version="1",
            task="regression",
            estimator="",
            features=tuple(Feature(name=f"x{column}") for column in range(X.shape[1])),
            target=Target(name="y"),
            rows=len(X),
            conversion=Conversion(converted=True),
            golden=golden,
            libraries={},
            files={},
        )
    )
