"""Estimators predict in processes of their own, which end, are ended and are made again."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harness.processes import ServerProcess, until
from model_server.errors import ModelDirectoryError, Overran, WorkerLost
from model_server.model import without_manifest
from model_server.model.directory import ModelDirectory
from model_server.workers.channel import Channel
from model_server.workers.estimators import Estimators
from tests.model_server import bare_model, slow_model
from tests.model_server.counted import in_flight
from tests.model_server.raw_connection import RawConnection, request

JSON = "application/json"
ONE = np.array([[1.0]])
FOR_EVER = np.array([[3600.0]])
SMALL = '{"instances": [[0.001]]}'
LARGE = '{"instances": [[101]]}'


class Odd(BaseEstimator):  # type: ignore[misc]
    """Do something else than predict: end the process, complain, or change what it was given."""

    def predict(self, X: Any) -> Any:
        match X[0, 0]:
            case 1:
                os._exit(3)
            case 2:
                raise ValueError("two is too many")
            case 3:
                return np.array([threading.Lock()], dtype=object)
        X *= 2
        return X[:, 0]


class Fatal(BaseEstimator):  # type: ignore[misc]
    """End the process that loads it."""

    def __setstate__(self, _: Any) -> None:
        os._exit(3)

    def __getstate__(self) -> Any:
        return {"not": "empty"}


@pytest.fixture
def estimators() -> Iterator[Estimators]:
    made = Estimators(n_workers=2, time_limit_s=None)
    yield made
    made.close()


def directory(path: Path, estimator: Any, features: str = '["RM"]') -> ModelDirectory:
    return without_manifest.read(bare_model.write(path, estimator, features))


def children() -> list[psutil.Process]:
    """Return the zygotes of this process with all that they forked."""
    zygotes = [child for child in psutil.Process().children() if is_ours(child)]
    return [*zygotes, *(child for zygote in zygotes for child in zygote.children(recursive=True))]


def is_ours(child: psutil.Process) -> bool:
    """Tell whether it is a zygote, and no server of other tests."""
    try:
        return "model_server.workers" in child.cmdline()
    except psutil.ZombieProcess:
        return False


def running() -> list[psutil.Process]:
    return [child for child in children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    before = set(children())
    yield
    until("all processes have ended", lambda: set(children()) <= before)


class TestChannel:
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Channel, Channel]]:
        ours, theirs = map(Channel, socket.socketpair())
        yield ours, theirs
        ours.close()
        theirs.close()

    @pytest.mark.parametrize(
        "message",
        [
            np.arange(12.0).reshape(3, 4),
            np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            np.arange(12.0)[::2],
            np.zeros((0, 3)),
            np.array(["a", None, 3], dtype=object),
            np.array(["dear", "cheap"]),
            np.array([True, False]),
        ],
    )
    def test_an_array_arrives_as_it_was(self, ends: tuple[Channel, Channel], message: Any) -> None:
        ours, theirs = ends
        ours.send(message)
        came = theirs.receive()
        assert came.dtype == message.dtype
        assert came.shape == message.shape
        assert came.tolist() == message.tolist()
        assert came.flags.writeable

    def test_more_than_a_socket_holds(self, ends: tuple[Channel, Channel]) -> None:
        ours, theirs = ends
        X = np.random.default_rng(0).random((1_000_000, 3))
        sender = threading.Thread(target=ours.send, args=[X])
        sender.start()
        assert np.array_equal(theirs.receive(), X)
        sender.join()

    def test_the_other_end_is_gone(self, ends: tuple[Channel, Channel]) -> None:
        ours, theirs = ends
        assert ours.open
        theirs.close()
        assert not ours.open
        with pytest.raises(EOFError):
            ours.receive()


@pytest.mark.slow
def test_it_predicts_what_the_estimator_does(estimators: Estimators, tmp_path: Path) -> None:
    """Gradient boosting predicts in threads of OpenMP, which no fork survives."""
    rng = np.random.default_rng(0)
    X, y = rng.random((500, 2)), rng.random(500)
    model = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=5)).fit(X, y)
    loaded = estimators.load(directory(tmp_path / "one", model, '["a", "b"]'))
    for _ in range(3):
        assert np.array_equal(loaded.predict(X), model.predict(X))
    labels = np.where(y > 0.5, "dear", "cheap")
    classifier = HistGradientBoostingClassifier(max_iter=5).fit(X, labels)
    second = estimators.load(directory(tmp_path / "two", classifier, '["a", "b"]'))
    assert second.classes == ["cheap", "dear"]
    assert second.predict(X).tolist() == classifier.predict(X).tolist()


@pytest.mark.slow
def test_an_error_keeps_its_name_and_its_place(estimators: Estimators, tmp_path: Path) -> None:
    loaded = estimators.load(directory(tmp_path / "odd", Odd()))
    with pytest.raises(Exception, match="two is too many") as raised:
        loaded.predict(ONE * 2)
    assert type(raised.value).__name__ == "ValueError"
    assert "test_workers.py" in raised.value.__notes__[0]
    with pytest.raises(Exception, match="cannot pickle"):
        loaded.predict(ONE * 3)
    X = ONE * 4
    assert loaded.predict(X).tolist() == [8]
    assert X.tolist() == [[4]], "what it does to its rows is done to a copy"


@pytest.mark.slow
def test_a_worker_that_ends_is_made_again(estimators: Estimators, tmp_path: Path) -> None:
    loaded = estimators.load(directory(tmp_path / "odd", Odd()))
    with pytest.raises(WorkerLost, match=r"worker \d+ ended while it predicted"):
        loaded.predict(ONE)
    assert loaded.predict(ONE * 4).tolist() == [8]
    [(_, idle)] = loaded._idle
    os.kill(idle, signal.SIGKILL)
    until("it has ended", lambda: not loaded._idle[0][0].open)
    assert loaded.predict(ONE * 4).tolist() == [8]


@pytest.mark.slow
def test_workers_that_end_leave_no_rest(estimators: Estimators, tmp_path: Path) -> None:
    loaded = estimators.load(directory(tmp_path / "odd", Odd()))
    for _ in range(5):
        with pytest.raises(WorkerLost):
            loaded.predict(ONE)
    loaded.predict(ONE * 4)
    assert len(children()) - len(running()) <= 1


@pytest.mark.slow
def test_a_prediction_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    estimators = Estimators(1, time_limit_s=0.5)
    loaded = estimators.load(directory(tmp_path / "slow", sleeper()))
    with pytest.raises(Overran, match=r"took more than 0\.5 s and was ended; .* --request-limit-s"):
        loaded.predict(FOR_EVER)
    assert loaded.predict(ONE / 1000).tolist() == [0.001]
    estimators.close()


@pytest.mark.slow
def test_the_keeper_ends(estimators: Estimators, tmp_path: Path) -> None:
    loaded = estimators.load(directory(tmp_path / "odd", Odd()))
    loaded.predict(ONE * 4)
    [(_, worker)] = loaded._idle
    os.kill(psutil.Process(worker).ppid(), signal.SIGKILL)
    until("its worker ends with it", lambda: not loaded._idle[0][0].open)
    with pytest.raises(WorkerLost, match="the process that keeps the model has ended"):
        loaded.predict(ONE * 4)
    assert estimators.load(directory(tmp_path / "again", Odd())).predict(ONE * 4) == [8]


@pytest.mark.slow
def test_the_zygote_ends(estimators: Estimators, tmp_path: Path) -> None:
    first = estimators.load(directory(tmp_path / "odd", Odd()))
    [zygote] = [child for child in children() if child.ppid() == os.getpid()]
    zygote.kill()
    zygote.wait()
    again = estimators.load(directory(tmp_path / "again", Odd()))
    assert again.predict(ONE * 4).tolist() == [8]
    del first


@pytest.mark.slow
def test_one_that_is_forgotten_ends(estimators: Estimators, tmp_path: Path) -> None:
    loaded = estimators.load(directory(tmp_path / "odd", Odd()))
    loaded.predict(ONE * 4)
    assert len(children()) == 3
    del loaded
    until("the zygote is alone", lambda: len(running()) == 1)


@pytest.mark.slow
def test_one_that_can_not_be_loaded_is_told(estimators: Estimators, tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match="ended the process that was to load it"):
        estimators.load(directory(tmp_path / "fatal", Fatal()))
    broken = bare_model.write(tmp_path / "broken", bare_model.line())
    (broken / "model.joblib").write_bytes(b"no pickle")
    with pytest.raises(ModelDirectoryError, match=r"model\.joblib: can't be unpickled") as raised:
        estimators.load(without_manifest.read(broken))
    assert raised.value.directory == broken


def sleeper() -> slow_model.Sleeper:
    return slow_model.Sleeper().fit(ONE, ONE)


@pytest.mark.slow
class TestServer:
    def test_one_that_keeps_the_interpreter_keeps_it_from_nobody(
        self, own_models: Path, tmp_path: Path
    ) -> None:
        slow_model.write(own_models, slow_model.Holder(), "holder")
        flags = ("--request-limit-s", "1", "--health-interval-s", "1")
        with (
            ServerProcess(own_models, *flags, log=tmp_path / "log") as server,
            RawConnection(server) as client,
        ):
            client.send(request(LARGE.encode(), "/v1/models/holder:predict"))
            until("it is in flight", lambda: in_flight(server) == 1)
            while in_flight(server) == 1:
                assert server.predict("rooms", '{"instances": [[6.5]]}', JSON).status_code == 200
                assert server.client.get("/v2/health/live").status_code == 200
            status, _, body = client.read()
            assert status == 504
            assert b"the prediction took more than 2 s and was ended" in body
            until("it answers again", lambda: server.predict("holder", SMALL, JSON).is_success)

    def test_what_would_take_too_long_is_refused(self, tmp_path: Path) -> None:
        slow_model.write(tmp_path / "models", slow_model.Plodder())
        flags = ("--request-limit-s", "1")
        with ServerProcess(tmp_path / "models", *flags, log=tmp_path / "log") as server:
            assert server.predict("slow", SMALL, JSON).status_code == 200
            answer = server.predict("slow", "0.001\n" * 5000, "text/csv")
            assert answer.status_code == 413
            assert answer.json()["error"].startswith("5000 rows would take about ")
            assert "or raise --request-limit-s (1 s)" in answer.json()["error"]
            metrics = server.client.get("/metrics").text
            assert 'requests_rejected_total{reason="time"} 1.0' in metrics

    def test_each_worker_takes_a_request(self, tmp_path: Path) -> None:
        slow_model.write(tmp_path / "models", slow_model.Sleeper())
        flags = ("--workers-per-model", "2", "--drain-timeout-s", "0")
        with (
            ServerProcess(tmp_path / "models", *flags, log=tmp_path / "log") as server,
            RawConnection(server) as first,
            RawConnection(server) as second,
        ):
            slow = request(b'{"instances": [[3600]]}', "/v1/models/slow:predict")
            first.send(slow)
            until("one is in flight", lambda: in_flight(server) == 1)
            assert server.predict("slow", SMALL, JSON).status_code == 200
            second.send(slow)
            until("two are in flight", lambda: in_flight(server) == 2)
            answer = server.predict("slow", SMALL, JSON)
            assert answer.status_code == 503
            assert answer.json()["error"].startswith("too much to do (queue)")

    def test_all_end_with_a_server_that_is_killed(self, tmp_path: Path) -> None:
        slow_model.write(tmp_path / "models", slow_model.Sleeper())
        with (
            ServerProcess(tmp_path / "models", log=tmp_path / "log") as server,
            RawConnection(server) as client,
        ):
            client.send(request(b'{"instances": [[3600]]}', "/v1/models/slow:predict"))
            until("it is in flight", lambda: in_flight(server) == 1)
            family = psutil.Process(server.process.pid).children(recursive=True)
            assert len(family) == 4, "zygote, keeper, worker and what watches the event loop"
            server.kill()
            assert not psutil.wait_procs(family, timeout=30)[1]
