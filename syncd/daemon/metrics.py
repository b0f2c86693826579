"""Metrics for Prometheus, computed from the daemon's state at each scrape."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from syncd import __version__
from syncd.core.states import State
from syncd.core.text import printable
from syncd.daemon.lifecycle import Lifecycle
from syncd.store.records import Counts
from syncd.upload.worker import RemoteState

FOLDER_STATES = ("watching", "scanning", "offline")


async def scrape(daemon: Lifecycle) -> tuple[bytes, str]:
    """Return all metrics in Prometheus' text format, and its content type."""
    store = daemon.runtime.store
    counts = {name: await store.counts([number]) for name, number in list(daemon.runtime.remote_ids.items())}
    registry = CollectorRegistry(auto_describe=False)  # not the global registry, which contains metrics of libraries
    registry.register(_DaemonCollector(daemon, counts))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _DaemonCollector(Collector):
    """Computes the metrics of one scrape."""

    def __init__(self, daemon: Lifecycle, counts: Mapping[str, Counts]) -> None:
        self._daemon = daemon
        self._counts = counts

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the metrics are known only when they are collected."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        daemon, runtime = self._daemon, self._daemon.runtime
        meter = runtime.bandwidth_limiter.meter
        yield _gauge("build_info", "Always 1. The label is the version of the daemon.", {(__version__,): 1}, "version")
        yield _gauge("uptime_seconds", "Seconds since the start of the daemon.", {(): daemon.uptime})
        yield _gauge(
            "uploading", "1 while uploads run, 0 while paused, blocked or ending.", {(): daemon.state == "running"}
        )
        yield _gauge("store_writer_alive", "1 if the job store's writer works, otherwise 0.", {(): runtime.store.alive})
        blocked = runtime.store.blocked is not None
        yield _gauge("store_blocked", "1 while the job store cannot be written, otherwise 0.", {(): blocked})
        sent = CounterMetricFamily("syncd_sent_bytes", "Bytes of files sent since the start.")
        sent.add_metric([], meter.total)
        yield sent
        yield _gauge("send_bytes_per_second", "Bytes sent per second, over the last five seconds.", {(): meter.rate()})
        yield from self._jobs()
        yield from self._remotes()
        yield self._folders()

    def _jobs(self) -> Iterable[Metric]:
        jobs = {(name, state.value): counts.jobs[state] for name, counts in self._counts.items() for state in State}
        yield _gauge("jobs", "Jobs by remote and state.", jobs, "remote", "state")
        pending = {(name,): counts.pending_bytes for name, counts in self._counts.items()}
        yield _gauge("pending_bytes", "Bytes of files with unfinished jobs.", pending, "remote")

    def _remotes(self) -> Iterable[Metric]:
        workers = self._daemon.runtime.scheduler.workers.values()
        statuses = {(worker.name,): worker.status() for worker in workers}
        up = {name: status.state is RemoteState.ONLINE for name, status in statuses.items()}
        yield _gauge("remote_up", "1 if the server answers and accepts the token, otherwise 0.", up, "remote")
        last_ok = {name: status.last_ok_at or 0.0 for name, status in statuses.items()}
        description = "When a request last succeeded; 0 if none has since the start."
        yield _gauge("remote_last_ok_timestamp_seconds", description, last_ok, "remote")
        in_flight = {name: status.requests_in_flight for name, status in statuses.items()}
        yield _gauge("requests_in_flight", "Requests in flight.", in_flight, "remote")
        limit = {name: status.requests_limit for name, status in statuses.items()}
        yield _gauge("requests_limit", "Limit of the requests in flight.", limit, "remote")

    def _folders(self) -> Metric:
        states = {
            (printable(path), state): watch.status.state == state
            for path, watch in self._daemon.runtime.folders.watches.items()
            for state in FOLDER_STATES
        }
        return _gauge(
            "folder_state", "1 for the current state of the folder, 0 for every other state.", states, "folder", "state"
        )


def _gauge(name: str, description: str, values: Mapping[Any, float], *labels: str) -> Metric:
    """Return a gauge; the keys of ``values`` are the label values, in the order of ``labels``."""
    family = GaugeMetricFamily(f"syncd_{name}", description, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
