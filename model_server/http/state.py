"""What a connection does, and for whom it waits.

::

    accepted ──▶ HANDSHAKE ──▶ IDLE ──▶ HEAD ──▶ BODY ──▶ WORKING ──▶ IDLE, or HEAD or BODY of
                                ▲  first  whole    whole     │        what was sent ahead
                                │  byte   head     request   ▼
                                └───────────────────────── UNREAD ──▶ LINGERING ──▶ CLOSED
                                          the answer is taken    the last one

    state      waits for            too late             holds
    HANDSHAKE  TLS, if it is spoken aborted              a place
    IDLE       a first byte         closed               a place
    HEAD       the whole head       408                  a place, the head
    BODY       the whole request    408                  a place, what has come in
    WORKING    the handler          the handler's        a place, a request in flight, its body
    UNREAD     the client to read   aborted              a place, what is unread
    LINGERING  the client to end    aborted              a place

In every state but WORKING it is the client that is waited for: such a connection is let go where
its place or its room is needed, see `model_server.http.roster`, whose time counts while the server
listens. Any state becomes CLOSED when the connection is lost.
"""

from enum import Enum, auto


class State(Enum):
    """The state of a connection."""

    __hash__ = object.__hash__  # that of Enum is Python: a microsecond of each request

    HANDSHAKE = auto()
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    WORKING = auto()
    UNREAD = auto()
    LINGERING = auto()
    CLOSED = auto()


READS = frozenset((State.IDLE, State.HEAD, State.BODY))
"""In which more of a request is taken."""

ENDS = frozenset((State.LINGERING, State.CLOSED))
"""In which nothing more is answered."""
