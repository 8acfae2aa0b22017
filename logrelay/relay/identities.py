"""Which rows have been seen already: a multiset of identities, bounded. No clock, no I/O."""

from collections.abc import Iterable

from logrelay.relay import timestamps


class Identities:
    """Remembers how often each row was seen in one frame (architecture.md section 5).

    Repeats are counted per frame: a row that stands twice in one frame is two records; the same row in a later
    frame is a re-delivery up to the largest count seen in one frame.

    The oldest arrivals are forgotten first: beyond `capacity`, but never those stamped within the overlap window
    (the caller says where it begins), and beyond `ceiling` in any case. Both are looked at from time to time only,
    because a look takes long: the capacity may be passed by a 64th, what the overlap and the ceiling leave by an 8th.
    """

    def __init__(self, *, capacity: int = 50_000, ceiling: int = 500_000) -> None:
        self._counts: dict[str, int] = {}  # in order of arrival
        self._capacity = capacity
        self._ceiling = max(ceiling, capacity)
        self._enough = capacity + capacity // 64  # how many there may be before the next look

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"<Identities {len(self._counts)} of {self._capacity}>"

    def unseen(self, frame: Iterable[str], here: dict[str, int] | None = None) -> list[str | None]:
        """For each row of a frame, given by its key: its id if it is new, None if it is a re-delivery.

        The second and further equal rows of one frame get an ordinal: `~2`, `~3` and so on.
        """
        here = {} if here is None else here
        ids: list[str | None] = []
        for key in frame:
            count = here[key] = here.get(key, 0) + 1
            if count <= self._counts.get(key, 0):
                ids.append(None)
                continue
            self._counts[key] = count
            ids.append(key if count == 1 else f"{key}~{count}")
        return ids

    def forget(self, before_ns: int) -> None:
        """Forget the oldest arrivals beyond the capacity, sparing those stamped at `before_ns` or later."""
        if len(self._counts) <= self._enough:
            return
        surplus = len(self._counts) - self._capacity
        # Keys begin with a stamp of fixed length, so their order as text is that of time.
        border = timestamps.render(before_ns)
        doomed: list[str] = []
        for key in self._counts:
            if len(doomed) >= surplus:
                break
            if key < border or len(self._counts) - len(doomed) > self._ceiling:
                doomed.append(key)
        for key in doomed:
            del self._counts[key]
        left = len(self._counts)
        self._enough = left + left // (64 if left <= self._capacity else 8)
