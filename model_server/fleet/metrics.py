"""The metrics of several processes as those of one."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import REGISTRY, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from model_server.fleet.siblings import Fleet
from model_server.metrics import WORKERS

_ONE_OF: dict[str, Callable[[float, float], float]] = {
    "python_info": max,
    "process_start_time_seconds": min,
    "process_max_fds": max,
    "model_server_queue_seconds": max,
    "model_server_model_broken": max,
    "model_server_workers_lost_total": max,
}
"""What is no sum. Who was forked last knows most of the losses."""

_METRICS = "metrics"
_PATIENCE_S = 2.0
"""So long a process may take to tell its own, or is left out."""

_Key = tuple[str, frozenset[tuple[str, str]]]


class Metrics:
    """What is told of the processes that serve, as of one.

    Parameters
    ----------
    fleet : Fleet
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        fleet.doing[_METRICS] = self._own

    async def collected(self) -> Collector:
        """Return what a scraper is told."""
        return MergedMetrics(await self._fleet.ask_all(_METRICS, patience_s=_PATIENCE_S))

    async def _own(self, _: str) -> list[Metric]:
        WORKERS.set(1)
        return list(REGISTRY.collect())


class MergedMetrics(Collector):
    """Metrics of several processes, each sample the sum of theirs where that has a meaning.

    Parameters
    ----------
    told : iterable of iterable of Metric
        Those of each process.
    """

    def __init__(self, told: Iterable[Iterable[Metric]]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        families: dict[str, tuple[Metric, dict[_Key, Sample]]] = {}
        for metrics in self._told:
            for metric in metrics:
                _, samples = families.setdefault(metric.name, (metric, {}))
                for sample in metric.samples:
                    key = sample.name, frozenset(sample.labels.items())
                    samples[key] = _merged(samples[key], sample) if key in samples else sample
        for first, samples in families.values():
            family = Metric(first.name, first.documentation, first.type, first.unit)
            family.samples = list(samples.values())
            yield family


def _merged(one: Sample, other: Sample) -> Sample:
    merge = min if one.name.endswith("_created") else _ONE_OF.get(one.name, _sum)
    return Sample(one.name, one.labels, merge(one.value, other.value))


def _sum(one: float, other: float) -> float:
    return one + other
