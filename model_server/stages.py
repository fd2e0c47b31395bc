"""How long the stages of predictions take, in KServe's own histograms.

The fast path counts here, in plain numbers, as a histogram's locks would cost it a tenth of its
requests. A scrape adds them to what KServe's route has counted.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client import REGISTRY, Histogram, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_BOUNDS_S = Histogram.DEFAULT_BUCKETS


class Stage:
    """One stage of one model's predictions; for use on the event loop only."""

    __slots__ = ("_counts", "_sum_s")

    def __init__(self) -> None:
        self._counts = [0] * len(_BOUNDS_S)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration, in seconds."""
        self._counts[bisect_left(_BOUNDS_S, duration_s)] += 1
        self._sum_s += duration_s

    def value(self, kind: str, bound_s: str) -> float:
        """Return what to add to a histogram's sample: of a ``bucket``, the ``count`` or ``sum``."""
        if kind == "bucket":
            return sum(self._counts[: _BOUNDS_S.index(float(bound_s)) + 1])
        return {"count": sum(self._counts), "sum": self._sum_s}.get(kind, 0.0)


class StageHistogram(Collector):
    """Stand in for one of KServe's histograms where metrics are collected.

    Parameters
    ----------
    histogram : prometheus_client.Histogram
        With the label ``model_name`` and the default buckets.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._stages: dict[str, Stage] = {}
        REGISTRY.unregister(histogram)
        REGISTRY.register(self)

    def stage(self, model_name: str) -> Stage:
        """Return where a model's durations are counted."""
        self._histogram.labels(model_name=model_name)
        return self._stages.setdefault(model_name, Stage())

    def forget(self, model_name: str) -> None:
        """Drop what was counted of a model."""
        self._histogram.remove(model_name)
        del self._stages[model_name]

    def describe(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield from self._histogram.describe()

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        for metric in self._histogram.collect():
            metric.samples = [
                sample._replace(value=sample.value + self._counted(sample))
                for sample in metric.samples
            ]
            yield metric

    def _counted(self, sample: Sample) -> float:
        stage = self._stages.get(sample.labels["model_name"], _NOTHING)
        return stage.value(sample.name.rpartition("_")[2], sample.labels.get("le", ""))


_NOTHING = Stage()
