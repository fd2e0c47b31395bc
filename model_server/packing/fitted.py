"""A fitted estimator, out of the file that it was saved to."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from model_server.model.outputs import offered
from model_server.packing.errors import NotPacked

_SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops")
_NO_ATTRIBUTE = re.compile(r"Can't get attribute '(.+?)' on <module '(.+?)'")


def load(path: Path, *, any_version: bool = False) -> Any:
    """Load an estimator; what is in the file may run code, but for a ``.skops`` file.

    Parameters
    ----------
    path : Path
        A file of joblib, pickle or skops.
    any_version : bool, optional
        Whether it may have been made by another version of scikit-learn.

    Raises
    ------
    NotPacked
    """
    if path.suffix not in _SUFFIXES:
        raise NotPacked(f"{path}: is none of {', '.join(_SUFFIXES)}", "save the estimator as one")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        estimator = _read(path)
    for warning in caught:
        if isinstance(warning.message, InconsistentVersionWarning) and not any_version:
            made_by = warning.message.original_sklearn_version
            raise NotPacked(
                f"{path}: was made by scikit-learn {made_by}, and {sklearn.__version__} is "
                "installed",
                "fit it again or install the other, or try --allow-version-change, which compares "
                "nothing with what it answered there",
            )
    try:
        check(estimator)
    except NotPacked as error:
        raise NotPacked(f"{path}: {error.problem}", error.cure) from None
    return estimator


def _read(path: Path) -> Any:
    try:
        return _read_skops(path) if path.suffix == ".skops" else joblib.load(path)
    except NotPacked:
        raise
    except OSError as error:
        raise NotPacked(
            f"{path}: can't be read ({error.strerror})", "check its path and mode"
        ) from error
    except AttributeError as error:
        if missing := _NO_ATTRIBUTE.search(str(error)):
            name, module = missing.groups()
            raise _elsewhere(path, name, module) from error
        raise _unreadable(path, error) from error
    except ModuleNotFoundError as error:
        raise NotPacked(
            f"{path}: needs the module {error.name!r}, which is not installed",
            "install it here and in the image that serves the model",
        ) from error
    except Exception as error:
        raise _unreadable(path, error) from error


def _read_skops(path: Path) -> Any:
    try:
        from skops import io  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        raise NotPacked(f"{path}: needs skops to be read", "pip install skops") from None
    unknown = io.get_untrusted_types(file=path)
    if unknown:
        raise NotPacked(
            f"{path}: holds the types {', '.join(unknown)}, which skops does not trust",
            "save it with joblib, if you trust it",
        )
    return io.load(path)


def _elsewhere(path: Path, name: str, module: str) -> NotPacked:
    if module.rpartition(".")[2] == "__main__":
        return NotPacked(
            f"{path}: {name} was defined in the script that saved it, which is not here",
            f"put {name} into a module of its own, import it there, fit and save again, and add "
            "the module to the image that serves the model",
        )
    return NotPacked(
        f"{path}: the module {module!r} that is installed has no {name}",
        "install the version that the estimator was made with",
    )


def _unreadable(path: Path, error: Exception) -> NotPacked:
    told = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    hint = "save it again with joblib.dump"
    if isinstance(error, pickle.UnpicklingError | EOFError):
        hint = "copy the file again, it may be cut or of another kind"
    return NotPacked(f"{path}: can't be unpickled ({told})", hint)


def check(estimator: Any) -> None:
    """See that an object is an estimator that is fitted and answers for new rows.

    Raises
    ------
    NotPacked
    """
    kind = type(estimator).__name__
    if not hasattr(estimator, "get_params"):
        raise NotPacked(
            f"what it holds, of type {kind}, is no estimator", "save a fitted estimator"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise NotPacked(f"the {kind} is not fitted", "fit it and save it again") from None
    except TypeError:  # another library's, of which this can't be told
        pass
    if not offered(estimator):
        raise NotPacked(
            f"{kind} has neither predict, transform nor score_samples",
            "it has nothing to answer for a new row, so it can't be served",
        )
