"""Who is connected, and who may be let go to make room for others.

A client that is waited for holds nothing that others need: where there are too many connections,
or too many bytes of bodies, the one that has been silent longest goes first.
"""

import time
from email.utils import formatdate
from itertools import islice
from typing import Protocol

from model_server.inference.in_flight import InFlightLimiter
from model_server.metrics import REJECTED

_LOOKED_AT = 64
"""So many of those that have waited longest are looked at for one who has sent nothing yet."""

_SWIFT_S = 1.0
"""Who sends a body, or reads an answer, in less is never let go for the room that it takes."""

_LISTENED_S = 2.0
"""So much of the time between two looks counts at most: a server that was stopped, or busy, did
not listen."""


class Member(Protocol):
    """A connection, as the roster sees it."""

    since_s: float
    held_bytes: int
    unread_bytes: int

    @property
    def idle(self) -> bool:
        """Whether no request has begun."""

    def evict(self, reason: str) -> None:
        """Let it go, and say why where something was begun."""

    def sweep(self) -> None:
        """End it if its client takes too long."""

    def drain(self) -> None:
        """Count what is in flight when the server is told to stop."""

    def finish(self) -> None:
        """Close it where nothing is begun."""

    def cut_off(self) -> None:
        """Close it, whatever is begun."""


class Roster:
    """The open connections of a listener.

    Parameters
    ----------
    limit : int
        Most of them.
    late : int
        So many more are still told why they are refused.
    limiter : InFlightLimiter
        Of all listeners and protocols; it reclaims room here.

    Attributes
    ----------
    now_s : float
        The time, in seconds, in which the server has listened; it moves with each `tick`.
    date : bytes
        That of responses.
    """

    def __init__(self, limit: int, late: int, limiter: InFlightLimiter) -> None:
        self._limit = limit
        self._late = late
        self._limiter = limiter
        self._members: set[Member] = set()
        self._waited_for: dict[Member, None] = {}
        self._looked_s = time.monotonic()
        self.now_s = 0.0
        self.date = b""
        limiter.reclaim = self._make_room
        self.tick()

    def __len__(self) -> int:
        return len(self._members)

    def members(self) -> list[Member]:
        """Return the connections that are open now."""
        return list(self._members)

    @property
    def crowded(self) -> bool:
        """Whether there are so many that one more is not even told so."""
        return len(self._members) > self._limit + self._late

    def tick(self) -> None:
        """Let the time go on."""
        now_s = time.monotonic()
        self.now_s += min(now_s - self._looked_s, _LISTENED_S)
        self._looked_s = now_s
        self.date = formatdate(usegmt=True).encode()

    def add(self, member: Member) -> bool:
        """Take a connection in; return whether there is a place for it, or one could be made."""
        self._members.add(member)
        if len(self._members) > self._limit:
            REJECTED.labels("connections").inc()
            longest = self._longest()
            if longest is None or self.crowded:
                return False
            self.remove(longest)
            longest.evict("connections")
        self._waited_for[member] = None
        return True

    def remove(self, member: Member) -> None:
        """Forget a connection that is closed."""
        self._members.discard(member)
        self._waited_for.pop(member, None)

    def works(self, member: Member) -> None:
        """Note that the server works for a connection."""
        self._waited_for.pop(member, None)

    def waits(self, member: Member) -> None:
        """Note that a connection's client is waited for, from now on."""
        if member in self._members:
            self._waited_for.pop(member, None)
            self._waited_for[member] = None

    def hold(self, member: Member, length_bytes: int) -> None:
        """Count bytes of a body that has come in, or take their room from who takes longest.

        Raises
        ------
        Overloaded
        TooLarge
            If there will never be room for so long a body.
        """
        self._limiter.check(member.held_bytes + length_bytes)
        if not self._limiter.fits(length_bytes):
            self._make_room(length_bytes, member)
        self._limiter.grow(length_bytes)
        member.held_bytes += length_bytes

    def hold_unread(self, member: Member, length_bytes: int) -> None:
        """Count bytes of an answer that its client does not read, whatever room there is."""
        self._limiter.add(length_bytes)
        member.unread_bytes += length_bytes

    def free(self, member: Member) -> None:
        """Give back the room of a body that comes in no more."""
        if member.held_bytes:
            self._limiter.shrink(member.held_bytes)
            member.held_bytes = 0

    def free_unread(self, member: Member) -> None:
        """Give back the room of an answer that is read, or never will be."""
        if member.unread_bytes:
            self._limiter.shrink(member.unread_bytes)
            member.unread_bytes = 0

    def _make_room(self, length_bytes: int, member: Member | None = None) -> None:
        """Let those go who have held room for long, until there is enough for another."""
        for other in list(self._waited_for):
            if self._limiter.fits(length_bytes):
                return
            slow = self.now_s - other.since_s >= _SWIFT_S
            if slow and (other.held_bytes or other.unread_bytes) and other is not member:
                REJECTED.labels("bytes").inc()
                self.remove(other)
                other.evict("bytes")

    def _longest(self) -> Member | None:
        """Return who has been waited for longest: of those without a request, if there are any."""
        first = next(iter(self._waited_for), None)
        oldest = islice(self._waited_for, _LOOKED_AT)
        return next((member for member in oldest if member.idle), first)
