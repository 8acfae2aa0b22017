import json
import struct
from typing import Any

import pytest
from web_harness import BASE, line, lines

from logrelay.relay.filters import Filter
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import Notice
from logrelay.web import frames
from logrelay.web.frames import Pages, View

EVERYONES = View(Filter())


def payloads(ready: bytes) -> list[bytes]:
    found = []
    while ready:
        size, head = ready[1], 2
        assert ready[0] == 0x81
        if size == 126:
            (size,), head = struct.unpack("!H", ready[2:4]), 4
        elif size == 127:
            (size,), head = struct.unpack("!Q", ready[2:10]), 10
        found.append(ready[head : head + size])
        ready = ready[head + size :]
    return found


def messages(ready: bytes) -> list[str]:
    bodies = [json.loads(payload) for payload in payloads(ready)]
    return [body["data"]["message"] if body["type"] == "log" else body["message"] for body in bodies]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_has_the_length_that_rfc_6455_gives_it(size: Any) -> None:
    assert payloads(frames.text(b"x" * size)) == [b"x" * size]


def test_pings_and_pongs_are_control_frames() -> None:
    assert frames.ping(b"ab") == b"\x89\x02ab"
    assert frames.pong(b"") == b"\x8a\x00"


def test_a_page_has_what_the_filter_lets_through_and_all_notices() -> None:
    history = History()
    history.append(
        [line(1, "one"), Notice("live", {"backfilled": 0}, BASE), line(2, "two"), line(3, "three")], 0.0
    )
    pages = Pages(history)

    page = pages.read(0, View(Filter.parse(search="two")))
    every = pages.read(0, EVERYONES)

    assert messages(page.frames) == ["live", "two"]
    assert (page.end, page.sent) == (4, 1)
    assert (page.last_id, page.last_ns) == (line(3, "three").id, line(3).ns)
    assert messages(every.frames) == ["one", "live", "two", "three"]


def test_equal_reads_by_one_view_are_made_once() -> None:
    history = History()
    history.append(lines(0, 3), 0.0)
    pages = Pages(history)

    view = View(Filter.parse(["api"], "line"))

    first = pages.read(0, view)
    second = pages.read(0, view)
    other = pages.read(0, View(Filter.parse(["api"], "lines")))

    assert first is second
    assert other is not first
    assert "Pages 2," in repr(pages)


def test_who_is_behind_by_different_amounts_meets_at_the_end_of_an_aligned_page() -> None:
    history = History()
    history.append(lines(0, 1000), 0.0)
    pages = Pages(history)

    ends = {pages.read(start, EVERYONES, aligned=True).end for start in (0, 3, 99, 200)}

    assert len(ends) == 1
    (end,) = ends
    assert pages.read(end, EVERYONES, aligned=True) is pages.read(end, EVERYONES, aligned=True)
    history.append(lines(1000, 1100), 0.0)
    page = pages.read(end, EVERYONES, aligned=True)
    assert pages.read(end, EVERYONES, aligned=True) is page
    assert messages(page.frames) == [f"line {n}" for n in range(end, page.end)]


def test_a_longer_history_is_read_anew() -> None:
    history = History()
    history.append(lines(0, 1), 0.0)
    pages = Pages(history)
    first = pages.read(0, EVERYONES)
    history.append(lines(1, 2), 0.0)

    assert pages.read(0, EVERYONES).end == first.end + 1


def test_a_page_that_has_been_evicted_is_not_given_from_memory() -> None:
    history = History()
    history.append(lines(0, 10), 0.0)
    pages = Pages(history)
    pages.read(0, EVERYONES)
    history.shrink(0)

    with pytest.raises(IndexError):
        pages.read(0, EVERYONES)
    assert messages(pages.read(9, EVERYONES).frames) == ["line 9"]


def test_a_page_of_notices_only_has_no_last_record() -> None:
    history = History()
    history.append([Notice("live", {"backfilled": 0}, BASE)], 0.0)

    page = Pages(history).read(0, EVERYONES)

    assert (page.last_id, page.last_ns, page.sent, page.end) == (None, None, 0, 1)


def test_what_is_kept_for_others_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "_ROOM", 2000)
    history = History(Bounds())
    history.append(lines(0, 100), 0.0)
    pages = Pages(history)

    for start in range(90):
        pages.read(start, EVERYONES)

    assert pages._bytes < 2000 + 100 * 400
    assert len(pages._made) < 3


def test_portions_are_bounded_by_count_and_by_bytes() -> None:
    entries = lines(0, 10)
    cost = entries[0].cost

    assert [len(part) for part in frames.portions(entries, most=4)] == [4, 4, 2]
    assert [len(part) for part in frames.portions(entries, room=3 * cost)] == [3, 3, 3, 1]
    assert [len(part) for part in frames.portions(entries, room=1)] == [1] * 10
    assert list(frames.portions([])) == []
    assert [entry for part in frames.portions(entries, most=3) for entry in part] == entries
