"""The sweep: each case is packed, served with all others by one process, and asked."""

import asyncio
import contextlib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.processes import ServerProcess
from model_server.model import directory as model_directory
from model_server.model.manifest import Manifest
from model_server.packing.errors import NotPacked
from model_server.packing.fitted import check
from model_server.packing.pack import pack
from soak.coverage import asking
from soak.coverage.case import Case

_RELATIVE = 1e-6


@dataclass
class Result:
    """What became of a case.

    Attributes
    ----------
    name : str
    runtime : str
        ``graph``, ``estimator``, or ``refused``.
    told : str
        Why it was refused, or has no graph.
    problems : list of str
        What was answered otherwise than by the estimator.
    answers : int
        How many were compared.
    """

    name: str
    runtime: str
    told: str = ""
    problems: list[str] = field(default_factory=list)
    answers: int = 0


def run(cases: Iterable[tuple[str, Case | None]], folder: Path) -> list[Result]:
    """Pack, serve and ask every case."""
    results, packed = [], {}
    for name, case in cases:
        result = Result(name, "refused", "it reads no rows")
        results.append(result)
        if case is not None and (manifest := _pack(case, result, folder)):
            packed[manifest.name] = case, manifest, result
    if not packed:
        return results
    with ServerProcess(folder / "models", log=folder / "log") as server:
        for case, manifest, result in packed.values():
            _compare(server, case, manifest, result)
    return results


def _pack(case: Case, result: Result, folder: Path) -> Manifest | None:
    served = re.sub(r"[^A-Za-z0-9]+", "-", case.name).strip("-")
    try:
        check(case.estimator)
        made = pack(case.estimator, case.sample, served)
    except NotPacked as error:
        result.told = str(error)
        return None
    except Exception as error:  # noqa: BLE001 - which pack should have told
        result.problems.append(f"pack: {type(error).__name__}: {error}")
        return None
    result.runtime = "graph" if made.manifest.conversion.converted else "estimator"
    result.told = made.manifest.conversion.reason
    model_directory.write(folder / "models" / served, made.manifest, made.files)
    return made.manifest


def _compare(server: ServerProcess, case: Case, manifest: Manifest, result: Result) -> None:
    methods = {output.name: output.method for output in manifest.outputs}
    for what, rows in (("seen", case.sample[:20]), ("held out", case.answered())):
        if not len(rows):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = {name: case.expected(method, rows) for name, method in methods.items()}
        asked = _answers(server, manifest.name, rows, [*methods])
        for protocol, answers in asked:
            if isinstance(answers, Exception):
                told = f"{type(answers).__name__}: {answers}"
                result.problems.append(f"{what}, {protocol}: {told}")
                continue
            for name, right in expected.items():
                result.answers += len(right)
                problem = _off(answers[name], right)
                if problem:
                    result.problems.append(f"{what}, {protocol}, {name}: {problem}")


def _answers(
    server: ServerProcess, model: str, rows: pd.DataFrame, names: list[str]
) -> Iterable[tuple[str, Any]]:
    """Yield what each protocol answers, or the error that it ends with."""
    sent = asking.written(rows)
    with httpx.Client(base_url=server.url, timeout=60) as client:

        def by_grpc(*_: Any) -> Any:
            return asyncio.run(asking.grpc(client, server.grpc_port, model, sent, names))

        for protocol, ask in {**asking.BY_HTTP, "gRPC": by_grpc}.items():
            try:
                yield protocol, ask(client, model, sent, names)
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                yield protocol, error


def _off(answered: Any, right: npt.NDArray[Any]) -> str:
    """Tell how answers differ from the right ones, if they do."""
    with contextlib.suppress(ValueError):
        actual = np.array(answered, dtype=object).reshape(right.shape)
        if right.dtype.kind != "f":
            differ = int(sum(a != b for a, b in zip(actual.flat, right.flat, strict=True)))
            return f"{differ} of {right.size} labels differ" if differ else ""
        numbers = np.array([np.nan if a is None else a for a in actual.flat], np.float64)
        return _numbers_off(numbers, right.reshape(-1))
    return f"shape {np.shape(answered)}, not {right.shape}"


def _numbers_off(numbers: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> str:
    """Compare numbers; what is not finite is null in JSON."""
    finite = np.isfinite(expected)
    largest = np.abs(expected[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        allowed = _RELATIVE * (np.abs(expected) + largest)
        close = np.abs(numbers - expected) <= allowed
    close |= (numbers == expected) | (~finite & np.isnan(numbers))
    if close.all():
        return ""
    by = np.nanmax(np.abs(numbers - expected)[~close], initial=0.0)
    return f"{(~close).sum()} of {len(expected)} numbers differ, by {by:.1e}"
