"""What a connection does in each state at each event: a row for each pair, or why there is none."""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

import pytest

from model_server.errors import BadRequest
from model_server.http.connection import Connection
from model_server.http.messages import Response
from model_server.http.state import State
from tests.model_server.connection_driver import Stage, Wire

CLOSED, HANDSHAKE, IDLE = State.CLOSED, State.HANDSHAKE, State.IDLE
HEAD, BODY, WORKING = State.HEAD, State.BODY, State.WORKING
UNREAD, LINGERING = State.UNREAD, State.LINGERING

BEGUN = b"POST / HTTP/1.1\r\nhost: x\r\n"
FRAMED = BEGUN + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n"
EXPECTS = b"transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SHORT, LONG = Response(200, body=b"here"), Response(200, body=b"x" * 5000)


class Then(NamedTuple):
    """What follows: the state, the answers that are written, and how the server ends, if so."""

    state: State
    statuses: tuple[int, ...] = ()
    end: str = ""


class Event(Enum):
    """What may happen; its value is the part of `Connection` that is told of it."""

    CONNECTED = "connection_made"
    REFUSED_CONNECTION = "accept"
    SOME_BYTES = "data_received: some bytes that end nothing"
    WHOLE_HEAD = "data_received: the rest of a head, that waits to be told to send"
    WHOLE_REQUEST = "data_received: the rest of a request"
    TWO_REQUESTS = "data_received: the rest of a request, and another"
    EMPTY_LINE = "data_received: an empty line"
    GARBAGE = "data_received: what is no HTTP"
    END = "eof_received"
    RESET = "connection_lost"
    ANSWER = "the handler answers"
    LONG_ANSWER = "pause_writing: the handler answers more than the client reads"
    ERROR = "the handler refuses"
    FAULT = "the handler fails"
    READ = "resume_writing: the client reads all"
    IN_TIME = "sweep: in time"
    LATE = "sweep: too late"
    EVICTION = "evict"
    STOP = "drain, and the answer"
    FINISH = "finish"
    CUT_OFF = "cut_off"


NOT_TOLD = {"idle": "says what the state is", "check": "of heads, in test_connection_machine.py"}

CONNECTED_ONCE = "a connection is made once"
ACCEPTED_ONCE = "a connection is accepted once"
NO_TRANSPORT = "no transport is there yet that could tell it"
NO_TRANSPORT_LEFT = "a transport tells nothing after connection_lost"
NOT_ASKED = "the handler is not asked"
ALL_READ = "nothing is unread"
HEAD_IS_WHOLE = "the head is whole"
SAID = "the client has said all: its bytes are thrown away, as SOME_BYTES has it"

Row = dict[Event, Then | str]
HANDLER = (Event.ANSWER, Event.LONG_ANSWER, Event.ERROR, Event.FAULT)
BYTES = (
    *(Event.SOME_BYTES, Event.WHOLE_HEAD, Event.WHOLE_REQUEST, Event.TWO_REQUESTS),
    *(Event.EMPTY_LINE, Event.GARBAGE),
)
COMMON: Row = {
    Event.CONNECTED: CONNECTED_ONCE,
    Event.REFUSED_CONNECTION: ACCEPTED_ONCE,
    **dict.fromkeys(HANDLER, NOT_ASKED),
    Event.READ: ALL_READ,
    Event.RESET: Then(CLOSED),
}
TABLE: dict[State, Row] = {
    HANDSHAKE: COMMON | dict.fromkeys((*BYTES, Event.END, Event.RESET), NO_TRANSPORT) | {
        Event.CONNECTED: Then(IDLE),
        Event.REFUSED_CONNECTION: Then(CLOSED),
        Event.IN_TIME: Then(HANDSHAKE),
        Event.LATE: Then(CLOSED),
        Event.EVICTION: Then(CLOSED),
        Event.STOP: Then(HANDSHAKE),
        Event.FINISH: Then(CLOSED),
        Event.CUT_OFF: Then(CLOSED),
    },
    IDLE: COMMON | {
        Event.SOME_BYTES: Then(HEAD),
        Event.WHOLE_HEAD: Then(BODY, (100,)),
        Event.WHOLE_REQUEST: Then(WORKING),
        Event.TWO_REQUESTS: Then(WORKING),
        Event.EMPTY_LINE: Then(HEAD),
        Event.GARBAGE: Then(LINGERING, (400,), "end"),
        Event.END: Then(CLOSED, (), "close"),
        Event.IN_TIME: Then(IDLE),
        Event.LATE: Then(CLOSED, (), "close"),
        Event.EVICTION: Then(CLOSED, (), "abort"),
        Event.STOP: Then(IDLE),
        Event.FINISH: Then(CLOSED, (), "close"),
        Event.CUT_OFF: Then(CLOSED, (), "abort"),
    },
    HEAD: COMMON | {
        Event.SOME_BYTES: Then(HEAD),
        Event.WHOLE_HEAD: Then(BODY, (100,)),
        Event.WHOLE_REQUEST: Then(WORKING),
        Event.TWO_REQUESTS: Then(WORKING),
        Event.EMPTY_LINE: Then(WORKING),
        Event.GARBAGE: Then(LINGERING, (400,), "end"),
        Event.END: Then(CLOSED, (), "close"),
        Event.IN_TIME: Then(HEAD),
        Event.LATE: Then(LINGERING, (408,), "end"),
        Event.EVICTION: Then(CLOSED, (503,), "close"),
        Event.STOP: Then(HEAD),
        Event.FINISH: Then(HEAD),
        Event.CUT_OFF: Then(CLOSED, (), "abort"),
    },
    BODY: COMMON | {
        Event.SOME_BYTES: Then(BODY),
        Event.WHOLE_HEAD: HEAD_IS_WHOLE,
        Event.WHOLE_REQUEST: Then(WORKING),
        Event.TWO_REQUESTS: Then(WORKING),
        Event.EMPTY_LINE: Then(LINGERING, (400,), "end"),
        Event.GARBAGE: Then(LINGERING, (400,), "end"),
        Event.END: Then(CLOSED, (), "close"),
        Event.IN_TIME: Then(BODY),
        Event.LATE: Then(LINGERING, (408,), "end"),
        Event.EVICTION: Then(CLOSED, (503,), "close"),
        Event.STOP: Then(BODY),
        Event.FINISH: Then(BODY),
        Event.CUT_OFF: Then(CLOSED, (), "abort"),
    },
    WORKING: COMMON | dict.fromkeys(BYTES, Then(WORKING)) | {
        Event.END: Then(WORKING),
        Event.ANSWER: Then(IDLE, (200,)),
        Event.LONG_ANSWER: Then(UNREAD, (200,)),
        Event.ERROR: Then(IDLE, (400,)),
        Event.FAULT: Then(IDLE, (500,)),
        Event.IN_TIME: Then(WORKING),
        Event.LATE: Then(WORKING),
        Event.EVICTION: "nobody who is worked for is evicted: see Roster.works",
        Event.STOP: Then(CLOSED, (200,), "close"),
        Event.FINISH: Then(WORKING),
        Event.CUT_OFF: Then(CLOSED, (503,), "close"),
    },
    UNREAD: COMMON | dict.fromkeys(BYTES, Then(UNREAD)) | {
        Event.END: Then(UNREAD),
        Event.READ: Then(IDLE, (200,)),
        Event.IN_TIME: Then(UNREAD),
        Event.LATE: Then(CLOSED, (), "abort"),
        Event.EVICTION: Then(CLOSED, (), "abort"),
        Event.STOP: Then(UNREAD),
        Event.FINISH: Then(UNREAD),
        Event.CUT_OFF: Then(CLOSED, (), "abort"),
    },
    LINGERING: COMMON | dict.fromkeys(BYTES, SAID) | {
        Event.SOME_BYTES: Then(LINGERING, (), "end"),
        Event.RESET: Then(CLOSED, (), "end"),
        Event.END: Then(CLOSED, (), "close"),
        Event.IN_TIME: Then(LINGERING, (), "end"),
        Event.LATE: Then(CLOSED, (), "abort"),
        Event.EVICTION: Then(CLOSED, (), "abort"),
        Event.STOP: Then(LINGERING, (), "end"),
        Event.FINISH: Then(LINGERING, (), "end"),
        Event.CUT_OFF: Then(CLOSED, (), "abort"),
    },
    CLOSED: COMMON | dict.fromkeys((*BYTES, Event.END), NO_TRANSPORT_LEFT) | {
        Event.IN_TIME: "who is closed is in no roster",
        Event.LATE: "who is closed is in no roster",
        Event.EVICTION: "who is closed is in no roster",
        Event.STOP: "who is closed is in no roster",
        Event.FINISH: "who is closed is in no roster",
        Event.CUT_OFF: "who is closed is in no roster",
    },
}  # fmt: skip
"""By state and event. A half of a connection that is ended is not closed: the client may still
send."""

LATE_S = {HANDSHAKE: 11, IDLE: 66, HEAD: 11, BODY: 31, WORKING: 500, UNREAD: 33, LINGERING: 4}


class Scene:
    """A connection that is brought into a state, and what happens to it."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.connection: Connection

    @property
    def wire(self) -> Wire:
        return self.accepted.wire

    def reach(self, state: State) -> None:
        self.connection, self.accepted = self.stage.accept(handshaken=state is not HANDSHAKE)
        if state is CLOSED:
            self.stage.play(self.wire.reset)
        if state in (HANDSHAKE, CLOSED):
            return
        self.send(GET)  # so that it is no fresh one, for which other times count
        self.answer(SHORT)
        before = {HEAD: BEGUN, BODY: FRAMED, WORKING: GET, UNREAD: GET, LINGERING: b"\x00"}
        self.send(before.get(state, b""))
        if state is UNREAD:
            self.wire.reads = False
            self.answer(LONG)
        self.wire.taken.clear()

    def happen(self, event: Event, state: State) -> None:
        if event in BYTES:
            self.send(bytes_of(event, state))
        elif event in HANDLER:
            self.wire.reads = event is not Event.LONG_ANSWER
            self.answer(ANSWERS[event])
            self.stage.play(lambda: self.wire.read(100))
        elif event is Event.STOP:
            self.stage.stop()
            if state is WORKING:
                self.answer(SHORT)
        elif event is Event.FINISH:
            self.stage.wait(2)  # or a new one may still ask
            self.stage.for_all(Connection.finish)
        else:
            OTHERS[event](self)

    def send(self, data: bytes) -> None:
        if data:
            self.stage.play(lambda: self.wire.send(data))

    def answer(self, response: Response | Exception) -> None:
        [asked] = self.stage.working
        self.stage.play(lambda: asked.answer(response))

    def refuse(self) -> None:
        """Be one more than are told that they are too many."""
        limits = self.stage.service.limits
        for _ in range(limits.connections):
            self.connection, self.accepted = self.stage.accept()
            self.send(GET)
        for _ in range(limits.late_connections + 1):
            self.connection, self.accepted = self.stage.accept(handshaken=False)
        assert self.accepted.closed

    def then(self) -> Then:
        statuses = re.findall(rb"HTTP/1.1 (\d+) ", bytes(self.wire.taken))
        return Then(self.connection.state, tuple(map(int, statuses)), self.wire.end)


ANSWERS: dict[Event, Response | Exception] = {
    Event.ANSWER: SHORT,
    Event.LONG_ANSWER: LONG,
    Event.ERROR: BadRequest("no"),
    Event.FAULT: ZeroDivisionError(),
}
OTHERS: dict[Event, Callable[[Scene], object]] = {
    Event.CONNECTED: lambda scene: scene.stage.play(lambda: scene.wire.handshaken.set_result(None)),
    Event.REFUSED_CONNECTION: Scene.refuse,
    Event.END: lambda scene: scene.stage.play(lambda: scene.wire.send(b"")),
    Event.RESET: lambda scene: scene.stage.play(scene.wire.reset),
    Event.READ: lambda scene: scene.stage.play(lambda: scene.wire.read(10**6)),
    Event.IN_TIME: lambda scene: scene.stage.wait(1),
    Event.LATE: lambda scene: scene.stage.wait(LATE_S[scene.connection.state]),
    Event.EVICTION: lambda scene: scene.stage.evict(scene.connection),
    Event.CUT_OFF: lambda scene: scene.stage.for_all(Connection.cut_off),
}


def bytes_of(event: Event, state: State) -> bytes:
    """Return what a client in a state sends: the rest of what it has begun."""
    if event in (Event.EMPTY_LINE, Event.GARBAGE):
        return {Event.EMPTY_LINE: b"\r\n", Event.GARBAGE: b"\x00\r\n"}[event]
    begun = {HEAD: len(BEGUN)}.get(state, 0)
    rest = {BODY: b"1\r\nc\r\n0\r\n\r\n"}.get(state, (BEGUN + b"\r\n")[begun:])
    return {
        Event.SOME_BYTES: rest[:1],
        Event.WHOLE_HEAD: (BEGUN + EXPECTS)[begun:],
        Event.WHOLE_REQUEST: rest,
        Event.TWO_REQUESTS: rest + GET,
    }[event]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.stage.close()


def test_every_state_has_a_row_and_every_event_a_cell() -> None:
    assert set(TABLE) == set(State)
    assert {
        state: set(Event) - set(row) for state, row in TABLE.items() if len(row) < len(Event)
    } == {}
    told = {event.value.partition(":")[0].partition(",")[0] for event in Event}
    public = {name for name in vars(Connection) if not name.startswith("_")}
    assert public <= told | set(NOT_TOLD)


PAIRS = [
    pytest.param(state, event, then, id=f"{state.name} {event.name}")
    for state, row in TABLE.items()
    for event, then in row.items()
    if isinstance(then, Then)
]


@pytest.mark.parametrize(("state", "event", "then"), PAIRS)
def test_what_follows(scene: Scene, state: State, event: Event, then: Then) -> None:
    scene.reach(state)
    assert scene.connection.state is state
    scene.happen(event, state)
    assert scene.then() == then
    assert not scene.stage.faults
    assert not scene.wire.faults
    if then.state is CLOSED:
        assert len(scene.stage.roster) == 0 or event is Event.REFUSED_CONNECTION
        assert scene.connection.held_bytes == scene.connection.unread_bytes == 0
