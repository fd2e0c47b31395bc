"""KServe's histograms of the stages of predictions, filled from what the served models count."""

from collections.abc import Iterator, Mapping

from kserve.metrics import POST_HIST_TIME, PRE_HIST_TIME, PREDICT_HIST_TIME
from prometheus_client import REGISTRY, Histogram, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from model_server.inference.served import Served
from model_server.metrics import Durations

_STAGES = {"reading": PRE_HIST_TIME, "predicting": PREDICT_HIST_TIME, "writing": POST_HIST_TIME}


class StageHistograms(Collector):
    """Stand in for KServe's own histograms, under their names.

    Parameters
    ----------
    models : mapping of str to Served
        A model that leaves it is told no more.
    """

    def __init__(self, models: Mapping[str, Served]) -> None:
        self._models = models

    def register(self) -> None:
        """Take the place of KServe's in the registry that is scraped."""
        for histogram in _STAGES.values():
            REGISTRY.unregister(histogram)
        REGISTRY.register(self)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        for stage, histogram in _STAGES.items():
            family = _family(histogram)
            for name, model in list(self._models.items()):
                durations = getattr(model, stage)
                family.add_metric([name], _buckets(durations), durations.sum_s)
            yield family


def _family(histogram: Histogram) -> HistogramMetricFamily:
    [described] = histogram.describe()
    return HistogramMetricFamily(described.name, described.documentation, labels=["model_name"])


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    bounds = map(floatToGoString, durations.BOUNDS_S)
    return list(zip(bounds, durations.cumulative(), strict=True))
