"""Metrics as lines that a metric definition of SageMaker matches."""

from collections.abc import Iterator, Mapping

from training.scores import NAMES

CROSS_VALIDATED, VALIDATION = "cross-validated", "validation"
"""What the scores are of; neither ends with the other, as expressions are searched in the line."""

DEFINITIONS = tuple(
    {"Name": f"{origin}:{score}", "Regex": f"{origin} {score}=([0-9.eE+-]+)"}
    for origin in (CROSS_VALIDATED, VALIDATION)
    for score in NAMES
)
"""What to give to a training job or an estimator as its metric definitions."""


def lines(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield a line for each score by its origin."""
    for origin, scores in found.items():
        for name, value in scores.items():
            yield f"{origin} {name}={value:.6g}"
