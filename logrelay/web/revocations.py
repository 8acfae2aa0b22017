"""What has been revoked, by ticket and by subject, and the file that keeps it. Judges no credential itself.

It is this process's memory, and the file has one owner: of several replicas, each has to be told and has its own file.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec

from logrelay.errors import LogrelayError, SettingsInvalid

logger = logging.getLogger(__name__)

TICKETS_KEPT = 86_400.0  # seconds: no ticket, reconnect token or share link lives longer
# Credentials that others sign (JWTs) may live longer than ours, and say nothing of it when they are renewed.
SUBJECTS_KEPT = 30 * 86_400.0  # seconds
_SLACK = 1_000  # lines of the file that may be out of date, beside as many as are not
_VARIABLE = "LOGRELAY_REVOCATIONS_FILE"


@attrs.define
class RevocationsFull(LogrelayError):
    """No more can be remembered; nothing was revoked. There is room again after so many seconds."""

    retry_after: float

    def __str__(self) -> str:
        return "too many revocations are remembered already"


class RevocationNotKept(LogrelayError):
    """It is revoked here and now, but couldn't be written to the file: a restart would forget it."""


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the file: exactly one of the two was revoked, `at` seconds since 1970."""

    at: float
    ticket: str | None = None
    subject: str | None = None


class Revocations:
    """Remembers what was revoked, for as long as a credential of that kind may live.

    With a file, it reads that at once and writes it anew without what is over; raises SettingsInvalid where it can't.
    A last line that was cut off is passed over with a warning: whoever asked for it was never told that it is done. Any
    other line that can't be read stops the start, because it may be the one that keeps somebody out.
    """

    def __init__(self, file: Path | None, *, now: Callable[[], float], most: int = 100_000) -> None:
        self._file = file
        self._now = now
        self._most = most
        self._tickets: dict[str, float] = {}  # id → when it was revoked
        self._subjects: dict[str, float] = {}
        self._lines = 0  # in the file
        self._unwritten: list[_Line] = []
        self._torn = False  # the file may end in the middle of a line
        self._writing = threading.Lock()
        if file is not None:
            self._load(file)

    def __repr__(self) -> str:
        return f"<Revocations {len(self._tickets)} tickets, {len(self._subjects)} subjects>"

    def __len__(self) -> int:
        return len(self._tickets) + len(self._subjects)

    def has_ticket(self, ticket_id: str) -> bool:
        """Whether this ticket or share link was revoked."""
        return ticket_id in self._tickets

    def has_subject(self, subject: str, issued: float | None) -> bool:
        """Whether what was issued for this subject at that time was revoked; without a time it was, as a precaution."""
        at = self._subjects.get(subject)
        if at is None or at + SUBJECTS_KEPT <= self._now():
            return False
        return issued is None or issued <= at

    def add_ticket(self, ticket_id: str) -> None:
        """Revoke a ticket or share link, effective at once; `keep` writes it down. Raises RevocationsFull."""
        if ticket_id not in self._tickets:
            self._room()
            self._tickets[ticket_id] = self._now()
            self._unwritten.append(_Line(self._tickets[ticket_id], ticket=ticket_id))

    def add_subject(self, subject: str) -> None:
        """Revoke what has been issued for a subject until now; otherwise as `add_ticket`."""
        if subject not in self._subjects:
            self._room()
        self._subjects[subject] = self._now()
        self._unwritten.append(_Line(self._subjects[subject], subject=subject))

    async def keep(self) -> None:
        """Write to the file what isn't in it yet, also what an earlier try left out. Raises RevocationNotKept."""
        if self._file is None:
            self._unwritten.clear()
            return
        try:
            await asyncio.to_thread(self._write, self._file)
        except OSError as failure:
            logger.error("revocation not written", extra={"kind": type(failure).__name__})  # noqa: TRY400 that's all
            raise RevocationNotKept("the revocation could not be written") from failure

    def _room(self) -> None:
        """Raises RevocationsFull where nothing more can be remembered, even without what is over."""
        if len(self) < self._most:
            return
        self._forget()
        if len(self) >= self._most:
            ends = [at + TICKETS_KEPT for at in self._tickets.values()]
            ends += [at + SUBJECTS_KEPT for at in self._subjects.values()]
            raise RevocationsFull(max(1.0, min(ends) - self._now()))

    def _forget(self) -> None:
        now = self._now()
        self._tickets = {key: at for key, at in self._tickets.items() if at + TICKETS_KEPT > now}
        self._subjects = {key: at for key, at in self._subjects.items() if at + SUBJECTS_KEPT > now}

    # From here on it is about the file. `_write` runs in a thread: the loop fills the dictionaries before it asks for a
    # write, so what a write finds in them is never older than the lines that it replaces.

    def _write(self, file: Path) -> None:
        with self._writing:
            lines = self._unwritten[:]
            if not lines:
                return  # another's write has taken them along
            if self._torn or self._lines + len(lines) > 2 * len(self) + _SLACK:
                self._rewrite(file)
            else:
                self._append(file, lines)
            del self._unwritten[: len(lines)]

    def _append(self, file: Path, lines: list[_Line]) -> None:
        self._torn = True  # until all of it is down
        _put(file, os.O_APPEND, lines)
        self._torn = False
        self._lines += len(lines)

    def _rewrite(self, file: Path) -> None:
        """Replace the file by one that holds what is in force, and nothing else."""
        lines = [_Line(at, ticket=key) for key, at in list(self._tickets.items())]
        lines += [_Line(at, subject=key) for key, at in list(self._subjects.items())]
        fresh = file.with_name(f"{file.name}.new")
        _put(fresh, os.O_TRUNC, lines)
        fresh.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._lines = len(lines)
        self._torn = False

    def _load(self, file: Path) -> None:
        try:
            *whole, rest = file.read_bytes().split(b"\n")
        except FileNotFoundError:
            whole, rest = [], b""
        except OSError:
            raise SettingsInvalid((f"{_VARIABLE}: the file can't be read",)) from None
        for number, raw in enumerate(whole, 1):
            if not self._take(raw):
                raise SettingsInvalid(
                    (
                        f"{_VARIABLE}: line {number} can't be read; mend it, or remove it if it may be forgotten",
                    )
                )
        if not self._take(rest):
            logger.warning("the last revocation was cut off, and its caller never told it was done")
        self._forget()
        try:
            self._rewrite(file)
        except OSError:
            raise SettingsInvalid(
                (f"{_VARIABLE}: the file can't be written; its folder must allow new files",)
            ) from None

    def _take(self, raw: bytes) -> bool:
        """Take in a line of the file; whether it could be read."""
        if not raw.strip():
            return True
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except (msgspec.MsgspecError, ValueError):
            return False
        if (line.ticket is None) is (line.subject is None):
            return False
        if line.ticket is not None:
            self._tickets[line.ticket] = max(line.at, self._tickets.get(line.ticket, 0.0))
        if line.subject is not None:
            self._subjects[line.subject] = max(line.at, self._subjects.get(line.subject, 0.0))
        return True


def _put(file: Path, how: int, lines: list[_Line]) -> None:
    """Write lines and wait until they are on the disk. Nobody but us may read them: they name people."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | how, 0o600)
    with os.fdopen(handle, "wb") as output:
        output.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        output.flush()
        os.fsync(output.fileno())
