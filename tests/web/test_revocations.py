import asyncio
import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logrelay.errors import Disconnect, SettingsInvalid
from logrelay.web.revocations import (
    SUBJECTS_KEPT,
    TICKETS_KEPT,
    RevocationNotKept,
    Revocations,
    RevocationsFull,
)
from logrelay.web.tickets import Tickets

START = 1_764_000_000.0
Make = Callable[..., Revocations]


class Clock:
    time = START


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "revoked.jsonl"


@pytest.fixture
def make(clock: Clock, file: Path) -> Make:
    """Another process with the same file; each call is a restart."""

    def make(**options: int) -> Revocations:
        return Revocations(file, now=lambda: clock.time, **options)

    return make


def content(file: Path) -> bytes:
    return file.read_bytes()


def lines(file: Path) -> int:
    return content(file).count(b"\n")


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def cut_off(file: Path, rest: bytes) -> None:
    """As a process that died in the middle of a line leaves it."""
    file.write_bytes(file.read_bytes() + rest)


async def test_what_was_revoked_stays_so_after_a_restart(clock: Clock, make: Make) -> None:
    before = make()
    before.add_ticket("t-1")
    await before.keep()
    before.add_subject("ada, “quoted”\n")
    await before.keep()

    clock.time += 10
    after = make()

    assert after.has_ticket("t-1")
    assert not after.has_ticket("t-2")
    assert after.has_subject("ada, “quoted”\n", START)
    assert not after.has_subject("ada, “quoted”\n", START + 1)
    assert len(after) == 2


async def test_it_is_in_the_file_before_keep_returns_and_nobody_else_may_read_it(
    make: Make, file: Path
) -> None:
    revocations = make()
    revocations.add_ticket("t-1")

    await revocations.keep()

    assert b'"ticket":"t-1"' in content(file)
    assert mode(file) == 0o600


async def test_without_a_file_it_is_remembered_by_the_process(clock: Clock) -> None:
    revocations = Revocations(None, now=lambda: clock.time)
    revocations.add_ticket("t-1")

    await revocations.keep()

    assert revocations.has_ticket("t-1")


@pytest.mark.parametrize("rest", [b'{"at":1764000000.0,"tick', b"{", b"\xff", b'{"at":17640000'])
async def test_a_last_line_that_was_cut_off_is_passed_over_with_a_warning(
    make: Make, file: Path, caplog: pytest.LogCaptureFixture, rest: bytes
) -> None:
    before = make()
    before.add_ticket("t-1")
    await before.keep()
    cut_off(file, rest)

    after = make()
    after.add_ticket("t-2")
    await after.keep()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    again = make()
    assert (again.has_ticket("t-1"), again.has_ticket("t-2"), len(again)) == (True, True, 2)


def test_a_last_line_that_only_lacks_its_end_counts(make: Make, file: Path) -> None:
    file.write_text('{"at":1764000000.0,"ticket":"t-1"}')

    assert make().has_ticket("t-1")


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "{}",
        "[]",
        '{"at":1764000000.0}',
        '{"ticket":"t"}',
        '{"at":"1","ticket":"t"}',
        '{"at":1764000000.0,"ticket":"t","subject":"s"}',
        '{"at":1764000000.0,"ticket":"t","more":1}',
        '{"at":1764000000.0,"ticket":5}',
    ],
)
def test_p11_any_other_line_that_cannot_be_read_stops_the_start_and_is_not_quoted(
    make: Make, file: Path, bad: str
) -> None:
    good = '{"at":1764000000.0,"ticket":"t-1"}'
    file.write_text(f"{good}\n{bad}\n{good}\n")

    with pytest.raises(SettingsInvalid) as caught:
        make()

    assert "line 2" in str(caught.value)
    assert bad not in str(caught.value)
    assert file.read_text() == f"{good}\n{bad}\n{good}\n"


@pytest.mark.parametrize("wrong", ["a folder", "no folder"])
def test_p11_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, wrong: str) -> None:
    file = tmp_path if wrong == "a folder" else tmp_path / "missing" / "revoked"

    with pytest.raises(SettingsInvalid) as caught:
        Revocations(file, now=lambda: START)

    assert "LOGRELAY_REVOCATIONS_FILE" in str(caught.value)


async def test_the_start_leaves_out_what_is_over(clock: Clock, make: Make, file: Path) -> None:
    before = make()
    before.add_ticket("t-1")
    before.add_subject("ada")
    clock.time += 10
    before.add_ticket("t-2")
    await before.keep()

    clock.time = START + TICKETS_KEPT
    after = make()

    assert (after.has_ticket("t-1"), after.has_ticket("t-2")) == (False, True)
    assert after.has_subject("ada", START)
    assert lines(file) == 2


def test_a_subject_is_remembered_until_its_time_is_over(clock: Clock, make: Make) -> None:
    revocations = make()
    revocations.add_subject("ada")

    clock.time = START + SUBJECTS_KEPT - 1
    assert revocations.has_subject("ada", None)
    clock.time += 1
    assert not revocations.has_subject("ada", None)


def test_a_subject_that_is_revoked_again_loses_what_was_issued_in_between(clock: Clock, make: Make) -> None:
    revocations = make()
    revocations.add_subject("ada")
    clock.time += 10
    assert not revocations.has_subject("ada", START + 5)

    revocations.add_subject("ada")

    assert revocations.has_subject("ada", START + 5)
    assert len(revocations) == 1


def test_p9_of_two_lines_about_a_subject_the_later_time_counts_whatever_clock_wrote_them(
    make: Make, file: Path
) -> None:
    file.write_text('{"at":1764000000.0,"subject":"ada"}\n{"at":1763999000.0,"subject":"ada"}\n')

    assert make().has_subject("ada", START)


def test_what_is_too_much_is_refused_until_something_is_over(clock: Clock, make: Make) -> None:
    revocations = make(most=2)
    revocations.add_ticket("t-1")
    clock.time += 10
    revocations.add_subject("ada")

    with pytest.raises(RevocationsFull) as caught:
        revocations.add_ticket("t-2")
    assert caught.value.retry_after == TICKETS_KEPT - 10
    with pytest.raises(RevocationsFull):
        revocations.add_subject("bob")
    revocations.add_ticket("t-1")  # both are known already
    revocations.add_subject("ada")

    clock.time = START + TICKETS_KEPT
    revocations.add_ticket("t-2")
    assert (revocations.has_ticket("t-1"), revocations.has_ticket("t-2")) == (False, True)


async def test_many_at_once_are_all_kept(make: Make, file: Path) -> None:
    before = make()

    async def revoke(number: int) -> None:
        before.add_ticket(f"t-{number}")
        await before.keep()
        assert f'"t-{number}"'.encode() in content(file)

    await asyncio.gather(*(revoke(number) for number in range(300)))

    after = make()
    assert all(after.has_ticket(f"t-{number}") for number in range(300))


async def test_the_file_stays_in_proportion_to_what_is_in_force(clock: Clock, make: Make, file: Path) -> None:
    revocations = make()
    for _ in range(2500):
        clock.time += 1
        revocations.add_subject("ada")
        revocations.add_ticket("t-1")
        await revocations.keep()

    assert lines(file) <= 1100
    assert make().has_subject("ada", clock.time)


async def test_a_ticket_that_is_revoked_already_costs_no_line(make: Make, file: Path) -> None:
    revocations = make()
    for _ in range(3):
        revocations.add_ticket("t-1")
        await revocations.keep()

    assert lines(file) == 1


class SmallFile(io.FileIO):
    """A file on a disk that is full: only so much of what is written gets there."""

    limit = sys.maxsize  # bytes

    def write(self, data: Any) -> int:
        room = self.limit - os.fstat(self.fileno()).st_size
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(bytes(data)[:room]) or 0


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how large files may get. A limit of the process's own would also cut off what pytest itself writes."""

    def limit(size: int) -> None:
        monkeypatch.setattr(SmallFile, "limit", size)

    monkeypatch.setattr(os, "fdopen", lambda handle, mode: io.BufferedWriter(SmallFile(handle, mode)))
    return limit


async def test_what_a_full_disk_cuts_off_is_said_and_written_when_there_is_room_again(
    make: Make, file: Path, small_files: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    revocations = make()
    revocations.add_ticket("t-1")
    await revocations.keep()
    small_files(len(content(file)) + 10)

    revocations.add_ticket("t-2")
    with pytest.raises(RevocationNotKept):
        await revocations.keep()
    assert revocations.has_ticket("t-2")
    assert not content(file).endswith(b"\n")

    small_files(sys.maxsize)
    revocations.add_ticket("t-2")  # whoever was refused asks again
    await revocations.keep()
    after = make()
    assert (after.has_ticket("t-1"), after.has_ticket("t-2"), len(after)) == (True, True, 2)


async def test_live_connections_end_before_the_disk_is_waited_for(
    file: Path, small_files: Callable[[int], None]
) -> None:
    tickets = Tickets("x" * 32, revocations_file=file)
    minted = tickets.mint("env-1")
    told: list[bool] = []
    tickets.on_revoked = lambda: told.append(True)
    small_files(0)

    with pytest.raises(RevocationNotKept):
        await tickets.revoke_ticket(minted.id)

    assert told == [True]
    with pytest.raises(Disconnect):
        tickets.redeem(minted.text, "env-1")


async def test_a_restart_refuses_what_was_revoked_before_it(file: Path) -> None:
    def started() -> Tickets:
        return Tickets("x" * 32, share_links=True, revocations_file=file)

    before = started()
    share, spared = before.mint_share("env-1"), before.mint_share("env-1", subject="bob")
    doomed = before.mint_share("env-1", subject="ada")
    grant = before.redeem(before.mint("env-1").text, "env-1")
    token = before.reconnect_token(grant) or ""
    await before.revoke_ticket(share.id)
    await before.revoke_ticket(grant.ticket or "")
    await before.revoke_subject("ada")

    after = started()

    for text in (share.text, doomed.text):
        with pytest.raises(Disconnect):
            after.link(text)
    with pytest.raises(Disconnect):
        after.come_back(token, "env-1")
    assert after.link(spared.text).id == spared.id


async def test_nothing_is_left_open(make: Make) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a count
    revocations = make()
    for number in range(20):
        revocations.add_ticket(f"t-{number}")
        await revocations.keep()

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 a count
