"""What a reader got, held against what was written: three numbers. Plain functions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import attrs

from logrelay.standin import Row


@attrs.frozen
class Report:
    """The three numbers, which are always told together."""

    missing: int = 0
    repeated: int = 0
    out_of_order: int = 0

    def __add__(self, other: Self) -> Self:
        return attrs.evolve(
            self,
            missing=self.missing + other.missing,
            repeated=self.repeated + other.repeated,
            out_of_order=self.out_of_order + other.out_of_order,
        )


PERFECT = Report()


@attrs.frozen
class Place:
    """Where a line belongs: `number` counts the lines as they were written, `ns` is its stamp.

    Of two lines, the one that was written first *and* isn't stamped later has to come first. Where the two disagree,
    either may: Railway sends what one poll has found in order of stamps, and one poll after another.
    """

    number: int
    ns: int
    hidden: bool = False  # Railway's polls pass it over: it is found later, out of turn
    late: bool = False  # stamped before one that was written earlier
    passed: bool = False  # the same, or stamped like the newest of those


def keys(rows: Iterable[Row]) -> dict[str, Place]:
    """Each row's name and place. The second of two rows that say the very same has the name of the first and `~2`."""
    seen: Counter[tuple[str, int]] = Counter()
    found: dict[str, Place] = {}
    highest = 0
    for number, row in enumerate(rows):
        seen[row.message, row.ns] += 1
        place = Place(number, row.ns, row.hidden, row.ns < highest, row.ns <= highest)
        found[_named(row.message, seen[row.message, row.ns])] = place
        highest = max(highest, row.ns)
    return found


def key(record: Mapping[str, str]) -> str:
    """The name of a record as `keys` gives it to its row."""
    _, _, ordinal = record["id"].partition("~")
    return _named(record["message"], int(ordinal or 1))


def _named(message: str, ordinal: int) -> str:
    return message if ordinal == 1 else f"{message} ~{ordinal}"


def misplaced(places: Sequence[Place]) -> list[Place]:
    """Those places of a sequence before which stands one that belongs after them."""
    # From the latest stamp down, with the last written first among equals: what has been passed by then and has a
    # higher number belongs after. A Fenwick tree over the numbers tells where the first of those stands.
    order = sorted(range(len(places)), key=lambda at: (places[at].ns, places[at].number), reverse=True)
    size = max((place.number for place in places), default=0) + 1
    earliest = [len(places)] * (size + 1)
    found: list[int] = []
    for at in order:
        mirrored = size - places[at].number
        first, node = len(places), mirrored - 1
        while node > 0:
            first = min(first, earliest[node])
            node -= node & -node
        if first < at:
            found.append(at)
        node = mirrored
        while node <= size:
            earliest[node] = min(earliest[node], at)
            node += node & -node
    return [places[at] for at in sorted(found)]


def report(rows: Sequence[Row], records: Sequence[Mapping[str, str]]) -> Report:
    """The three numbers of one reader who ought to have got every row once."""
    written = keys(rows)
    got = [key(record) for record in records]
    first = list(dict.fromkeys(name for name in got if name in written))
    return Report(
        missing=len(written) - len(first),
        repeated=len(got) - len(first),
        out_of_order=len(misplaced([written[name] for name in first])),
    )
