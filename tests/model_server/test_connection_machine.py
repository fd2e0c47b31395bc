"""Several connections of one roster at once, played by Hypothesis against a simple model of them.

Whatever clients, handlers, time and the server's stop do: each whole request is answered once and
in order or its connection ends, all that is held is counted and given back, and nobody stays for
ever. h11 reads what is written.
"""

import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from model_server.errors import BadRequest
from model_server.http.connection import Connection
from model_server.http.messages import Response
from model_server.http.state import State
from tests.model_server.connection_driver import LIMITS, Asked, Stage, held_bytes
from tests.model_server.http_judge import Answer, Judge
from tests.model_server.http_messages import MESSAGES, Message


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Log none of the errors that plays ask for."""
    log = logging.getLogger("model_server")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(level)


BUSY, LATE, REFUSED = 503, 408, 400
WAITING = (State.IDLE, State.HEAD, State.BODY)
PATIENCE_S = {
    State.HANDSHAKE: LIMITS.header_timeout_s,
    State.IDLE: 65,
    State.HEAD: LIMITS.header_timeout_s,
    State.BODY: LIMITS.body_timeout_s,
    State.UNREAD: LIMITS.body_timeout_s,
    State.LINGERING: LIMITS.body_timeout_s,
}
SLACK_S = 3
_DRIPS = 8

SENT = st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=3)
CUTS = st.lists(st.integers(1, 100), max_size=3)
"""Of what is left to be sent, in percent."""
PICK = st.integers(0, 10**6)
RESPONSES: dict[str, Response | Exception] = {
    "short": Response(200, [(b"content-type", b"text/plain")], b"here"),
    "empty": Response(204),
    "long": Response(200, body=b"z" * 3000),
    "in pieces": Response(200, body=b"zyxwv" * 30_000),
    "in pieces, the last": Response(200, body=b"zyxwv" * 30_000, close=True),
    "the last": Response(200, body=b"bye", close=True),
    "refuses": BadRequest("no"),
    "fails": ZeroDivisionError(),
}
KINDS = sorted(RESPONSES)


class Client:
    """A client, what it has sent, and what it was answered."""

    def __init__(self, stage: Stage, number: int, *, handshaken: bool) -> None:
        self.stage = stage
        self.number = number
        self.connection, self.accepted = stage.accept(handshaken=handshaken)
        self.wire = self.accepted.wire
        self.messages: list[tuple[int, Message]] = []
        self.given: dict[int, Response | Exception] = {}
        self.stream = b""
        self.sent = 0
        self.has_ended = False
        self.n_answered = 0
        self.n_told = 0
        self.last = False
        self.excused = False
        self.begun_before_stop: int | None = None
        self.judge = Judge()
        self.n_judged = 0
        self.since: tuple[object, float] = (None, 0.0)

    @property
    def open(self) -> bool:
        return self.connection.state is not State.CLOSED

    @property
    def speaks(self) -> bool:
        """Whether it may send."""
        return self.connection.state not in (State.CLOSED, State.HANDSHAKE) and not self.has_ended

    def waits_for_tls(self) -> bool:
        return self.connection.state is State.HANDSHAKE and not self.wire.handshaken.done()

    @property
    def unread_bytes(self) -> int:
        """What it was asked to read and does not, with the answer of which more is to come."""
        return self.wire.unread_bytes + len(self.connection._writer.unsent)

    @property
    def n_whole(self) -> int:
        """How many requests it has sent whole."""
        return sum(end <= self.sent for end, _ in self.messages)

    def add(self, names: list[str], before: bytes) -> None:
        """Make up what it will send."""
        for name in names:
            message = MESSAGES[name]
            target = b"/%d-%d" % (self.number, len(self.messages))
            self.stream += before + message.sent.replace(b"/NUMBER", target)
            self.messages.append((len(self.stream), message))

    def deliver(self, length_bytes: int) -> None:
        piece = self.stream[self.sent : self.sent + length_bytes]
        self.sent += len(piece)
        if piece:
            self.wire.send(piece)

    def answers(self) -> Iterator[tuple[int, Message | None, Answer]]:
        """Return the answers that came since, and to which of its messages."""
        data = bytes(self.wire.written[self.n_judged :])
        self.n_judged += len(data)
        if data:
            self.judge.feed(data)
        while not self.last:
            begins = self.messages[self.n_answered - 1][0] if self.n_answered else 0
            message = None
            if self.n_answered < len(self.messages) and self.sent > begins:
                message = self.messages[self.n_answered][1]
            told = b"\r\n\r\n" in self.stream[begins : self.sent].lstrip()
            answer = self.judge.next(message.method if message is not None and told else "GET")
            if answer is None:
                more = self.connection._writer.unsent or not self.open
                assert more or not self.judge.in_pieces, "the rest of an answer is forgotten"
                return
            yield self.n_answered, message, answer
            if not answer.interim:
                self.n_answered += 1
                self.last = answer.closes
        assert not self.judge.unread, "something is written after the last answer"


class Connections(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize(
        secure=st.booleans(),
        bytes_limit=st.sampled_from([1200, 3000, 10**6]),
        may_stop=st.sampled_from([False, False, True]),
    )
    def begin(self, *, secure: bool, bytes_limit: int, may_stop: bool) -> None:
        self.bytes_limit = bytes_limit
        self.may_stop = may_stop
        self.stage = Stage(secure=secure, requests_limit=2, bytes_limit=bytes_limit)
        self.clients: list[Client] = []
        self.all: list[Client] = []
        self.stopping = False

    # What clients do.

    @rule(pick=PICK, name=st.sampled_from(sorted(MESSAGES)))
    def crowd(self, pick: int, name: str) -> None:
        """Begin a request, say no more and read nothing, where others come."""
        self.send(pick, [name], b"", [30])
        for client in self.clients:
            client.wire.reads = False
        for _ in range(LIMITS.connections):
            self.connect(handshaken=True)

    @rule(handshaken=st.booleans())
    def connect(self, *, handshaken: bool) -> None:
        self._excuse(lambda _: len(self.stage.roster) >= LIMITS.connections)
        client = Client(self.stage, len(self.all), handshaken=handshaken)
        client.excused = True
        self.clients.append(client)
        self.all.append(client)
        self._look()

    @precondition(lambda self: self._some(lambda client: client.waits_for_tls()))
    @rule(pick=PICK)
    def shake_hands(self, pick: int) -> None:
        client = self._pick(pick, lambda client: client.waits_for_tls())
        self._play(lambda: client.accepted.wire.handshaken.set_result(None))

    @rule(
        pick=PICK,
        names=SENT,
        empty_lines=st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n"]),
        cuts=CUTS,
    )
    def send(self, pick: int, names: list[str], empty_lines: bytes, cuts: list[int]) -> None:
        """Send requests, the last perhaps in pieces or not to its end."""
        if not self._some(lambda client: client.speaks):
            self.connect(handshaken=True)
        if not self._some(lambda client: client.speaks):
            return  # one too many, whom nobody listens to
        client = self._pick(pick, lambda client: client.speaks)
        client.add(names, empty_lines)
        length_bytes = len(client.stream) - client.sent
        for cut in cuts or [100]:
            self._deliver(client, cut * length_bytes // 100)

    @rule(pick=PICK, names=SENT, kinds=st.lists(st.sampled_from(KINDS), min_size=1))
    def ask(self, pick: int, names: list[str], kinds: list[str]) -> None:
        """Send requests, and answer whatever the handler is asked."""
        self.send(pick, names, b"", [])
        for kind in kinds:
            self.answer(0, kind)

    @precondition(lambda self: self._some(lambda client: client.speaks))
    @rule(pick=PICK, cuts=CUTS)
    def send_more(self, pick: int, cuts: list[int]) -> None:
        client = self._pick(pick, lambda client: client.speaks)
        for cut in cuts:
            self._deliver(client, cut * (len(client.stream) - client.sent) // 100)

    @rule(pick=PICK, name=st.sampled_from(sorted(MESSAGES)), pause_s=st.integers(2, 9))
    def drip(self, pick: int, name: str, pause_s: int) -> None:
        """Send a request, a little now and then."""
        self.send(pick, [name], b"", [1])
        for _ in range(_DRIPS):
            self.wait(pause_s)
            for client in self.clients:
                self._deliver(client, 1)

    @precondition(lambda self: self._some(lambda client: client.speaks))
    @rule(pick=PICK)
    def end(self, pick: int) -> None:
        client = self._pick(pick, lambda client: client.speaks)
        client.has_ended = client.excused = True
        self._play(lambda: client.wire.send(b""))

    @precondition(lambda self: self._some(lambda client: client.speaks))
    @rule(pick=PICK, length_bytes=st.integers(0, 2000))
    def reset(self, pick: int, length_bytes: int) -> None:
        """Go away, in the same turn as some bytes."""
        client = self._pick(pick, lambda client: client.speaks)
        client.has_ended = client.excused = True

        def scene() -> None:
            client.deliver(length_bytes)
            client.wire.reset()

        self._play(scene)

    @precondition(lambda self: self._some(lambda client: client.open))
    @rule(pick=PICK)
    def turn_deaf(self, pick: int) -> None:
        self._pick(pick, lambda client: client.open).wire.reads = False

    @precondition(lambda self: self._some(lambda client: not client.wire.reads))
    @rule(pick=PICK, length_bytes=st.integers(1, 3000) | st.just(70_000), on=st.booleans())
    def read(self, pick: int, length_bytes: int, *, on: bool) -> None:
        client = self._pick(pick, lambda client: not client.wire.reads)
        client.since = (None, self.stage.now_s)
        client.wire.reads = on
        self._play(lambda: client.wire.read(10**6 if on else length_bytes))

    # What the server does.

    @rule(pick=PICK, kind=st.sampled_from(KINDS))
    def answer(self, pick: int, kind: str) -> None:
        if self.stage.working:
            self._answer(self.stage.working[pick % len(self.stage.working)], kind)

    @rule(seconds=st.sampled_from([1, 1, 1, 2, 2, 5, 11, 31, 66]))
    def wait(self, seconds: int) -> None:
        self._excuse(lambda _: True)
        self.stage.wait(seconds)
        self._look()

    @precondition(lambda self: self.may_stop)
    @rule()
    def stop(self) -> None:
        self.stopping = True
        for client in self.clients:
            if client.connection._writer.unsent:
                client.begun_before_stop = client.n_answered
        self.stage.stop()
        self._look()

    @precondition(lambda self: self.stopping)
    @rule()
    def finish(self) -> None:
        self._excuse(lambda client: client.connection.idle)
        self.stage.for_all(Connection.finish)
        self._look()

    @precondition(lambda self: self.stopping)
    @rule(length_bytes=st.integers(0, 2000))
    def cut_off(self, length_bytes: int) -> None:
        """Cut all off, in the same turn as some of them ask for more."""
        self._excuse(lambda client: client.connection.state is not State.WORKING)

        def scene() -> None:
            for client in self.clients:
                if client.speaks:
                    client.deliver(length_bytes)
            for connection in self.stage.roster.members():
                connection.cut_off()

        self._play(scene)

    def teardown(self) -> None:
        """When all is answered, time alone ends every connection, and frees everything."""
        if not hasattr(self, "stage"):
            return
        try:
            while self.stage.working:
                self._answer(self.stage.working[0], "short")
            self._look()
            self.wait(66)
            self.wait(66)
            assert not self.clients
            assert len(self.stage.roster) == len(self.stage.roster.members()) == 0
            assert (self.stage.limiter._requests, self.stage.limiter.held_bytes) == (0, 0)
        finally:
            self.stage.close()

    # What must hold.

    def _deliver(self, client: Client, length_bytes: int) -> None:
        if client.speaks:
            slow = [
                other
                for other in self.clients
                if other.connection.held_bytes or other.connection.unread_bytes
            ]
            self._excuse(lambda other: other in slow and self.bytes_limit < 10**6)
            self._play(lambda: client.deliver(length_bytes))

    def _answer(self, asked: Asked, kind: str) -> None:
        number, _, which = asked.request.path[1:].partition("-")
        client = self.all[int(number)]
        client.given[int(which)] = RESPONSES[kind]
        self._play(lambda: asked.answer(RESPONSES[kind]))

    def _play(self, scene: Callable[[], object]) -> None:
        self.stage.play(scene)
        self._look()

    def _excuse(self, why: Callable[[Client], bool]) -> None:
        """Note whose connection may end without an answer."""
        for client in self.clients:
            client.excused = client.excused or why(client)

    def _look(self) -> None:
        """See that all that must hold does."""
        for client in self.clients:
            for which, message, answer in client.answers():
                self._judge(client, which, message, answer)
            self._see_end(client)
            self._see_time(client)
            assert not client.wire.faults
            leaves = client.connection.state is State.LINGERING
            client.excused = client.has_ended or not client.open or (client.excused and leaves)
        self.clients = [client for client in self.clients if client.open]
        assert not self.stage.faults
        self._see_counts()

    def _judge(self, client: Client, which: int, message: Message | None, answer: Answer) -> None:
        """See that an answer is right."""
        if message is None:  # nothing of a request was sent
            assert answer.status in (LATE, BUSY)
            assert answer.closes
            return
        whole = client.messages[which][0] <= client.sent
        if answer.interim:
            assert message.waits
            assert not whole or client.n_told <= which
            client.n_told = which + 1
            return
        if which in client.given:
            self._judge_given(client.given[which], message, answer)
        elif not whole and not (message.refusal and message.ends):
            assert answer.status in (LATE, BUSY, message.refusal)
            assert answer.closes
        elif answer.status == BUSY:
            late = client.connection._too_many
            holds = message.counts or message.body
            assert holds or client.excused or late or self.stopping
        elif message.refusal and message.ends and answer.status == LATE:
            assert answer.closes
        else:
            assert answer.status == message.refusal
        last = self.stopping and which != client.begun_before_stop
        assert answer.closes or not (message.ends or last)

    def _judge_given(self, given: Response | Exception, message: Message, answer: Answer) -> None:
        assert not message.refusal
        if isinstance(given, Response):
            body = b"" if message.method == "HEAD" else given.body
            assert (answer.status, answer.body) == (given.status, body)
            assert answer.closes or not given.close
        else:
            assert answer.status == (REFUSED if isinstance(given, BadRequest) else 500)
            assert bool(answer.body) == (message.method != "HEAD")

    def _see_end(self, client: Client) -> None:
        """See that all that is whole is answered, or worked on, or its connection has ended."""
        state = client.connection.state
        if state in WAITING:
            assert client.n_answered == client.n_whole
        elif state is State.CLOSED:
            assert client.last or client.excused
        elif state is State.WORKING:
            ours = f"/{client.number}-{client.n_answered}"
            asked = [one.request for one in self.stage.working if one.request.path == ours]
            assert [one.body for one in asked] == [client.messages[client.n_answered][1].body]

    def _see_time(self, client: Client) -> None:
        """See that nobody is waited for too long: nothing but an answer begins a time anew."""
        state = client.connection.state
        begun = state in (State.HEAD, State.BODY)
        now = (begun or state, client.n_answered)
        if client.since[0] != now:
            client.since = (now, self.stage.now_s)
        if state in PATIENCE_S:
            assert self.stage.now_s - client.since[1] <= PATIENCE_S[state] + SLACK_S

    def _see_counts(self) -> None:
        """See that what is held is counted, and what is counted is held."""
        stage = self.stage
        working = [asked.request for asked in stage.working]
        assert stage.limiter._requests == sum(not request.only_reads for request in working)
        held = sum(held_bytes(client.connection) for client in self.clients)
        unread = sum(client.unread_bytes for client in self.clients if client.open)
        assert stage.limiter.held_bytes == sum(len(one.body) for one in working) + held + unread
        members = stage.roster.members()
        for client in self.clients:
            stays = client.open and not (client.accepted.closed or client.wire.closing)
            assert client.connection in members or not stays, "it is not swept"
        assert len(members) <= len(self.clients)
        assert len(stage.roster) <= LIMITS.connections + LIMITS.late_connections

    def _some(self, which: Callable[[Client], bool]) -> bool:
        return any(map(which, self.clients))

    def _pick(self, pick: int, which: Callable[[Client], bool]) -> Client:
        some = [client for client in self.clients if which(client)]
        return some[pick % len(some)]


TestConnections = pytest.mark.slow(Connections.TestCase)
TestConnections.settings = settings(
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_an_answer_that_is_read_leaves_the_room_of_the_next_body() -> None:
    """That body has come in, in part, with the request before it."""
    state = Connections()
    state.begin(secure=False, bytes_limit=1200, may_stop=False)
    state.send(cuts=[], empty_lines=b"", names=["GET", "POST of much"], pick=0)
    state.turn_deaf(pick=0)
    state.ask(kinds=["in pieces"], names=["GET"], pick=0)
    state.read(length_bytes=70_000, on=False, pick=0)
    state.teardown()


def test_the_first_reason_to_end_is_told() -> None:
    """Whatever follows it in the same piece."""
    state = Connections()
    state.begin(secure=False, bytes_limit=1200, may_stop=False)
    names = ["POST of much", "a head too long", "coded"]
    state.ask(pick=0, names=names, kinds=["empty"])
    state.teardown()


def test_the_last_answer_is_that_of_the_request_which_it_refuses() -> None:
    """A HEAD behind it, in the same piece, takes no body from it."""
    state = Connections()
    state.begin(secure=False, bytes_limit=1200, may_stop=False)
    names = ["too large", "a head too long", "HEAD"]
    state.send(pick=0, names=names, empty_lines=b"", cuts=[])
    state.answer(pick=0, kind="empty")
    state.teardown()


def test_who_reads_late_is_let_go_when_the_server_stops() -> None:
    """Its answer, on its way before that, did not say so."""
    state = Connections()
    state.begin(secure=False, bytes_limit=1200, may_stop=True)
    state.send(pick=0, names=["GET"], empty_lines=b"", cuts=[])
    state.turn_deaf(pick=0)
    state.answer(pick=0, kind="empty")
    state.wait(seconds=2)
    state.stop()
    state.finish()
    state.read(pick=0, length_bytes=70_000, on=True)
    state.teardown()
