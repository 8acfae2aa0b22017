"""The command ``logrelay tail``: a viewer that comes back by itself, remembers its place and counts.

It keeps the place in the stream and the counts. Imports of weight wait until it runs, because every command
of logrelay builds this one's arguments too.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TextIO

import attrs

from logrelay import terminal
from logrelay.terminal import Look, clean, is_count

if TYPE_CHECKING:
    from yarl import URL

    from logrelay.viewing import End, Seen

_VARIABLE = "LOGRELAY_TOKEN"  # holds the credential
_BASE = "http://127.0.0.1:8080"
_TAIL = 100  # records
_PLACE = ("tail", "lastId", "lastTimestamp", "overlap")  # parameters that say where to begin
_PLACE_CHARACTERS = 512  # an id that is longer is none of a relay's
_NAME_COLUMNS = 20  # at most, for the names of services
_HEADER = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*([^\x00-\x1f\x7f]*?)\s*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.epilog = (
        f"A credential is read from ${_VARIABLE} and sent as `Authorization: Bearer`; "
        "a --header with another Authorization takes its place."
    )
    add = parser.add_argument
    add("target", metavar="ENVIRONMENT", help="an environment's id, or an address that names one")
    add("--url", help=f"the relay, where the target is an id (default: $LOGRELAY_URL or {_BASE})")
    add("-s", "--service", action="append", default=[], metavar="NAME", help="only this service; repeatable")
    add("-q", "--search", metavar="EXPR", help='only what matches: words, "phrases", -without')
    add("--severity", choices=("debug", "info", "warn", "error"), help="only from this severity on")
    add("-n", "--tail", type=_number, metavar="N", help="past records first (default: 100)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--since", metavar="TIMESTAMP", help="resume after this RFC 3339 time (lastTimestamp)")
    place.add_argument("--last-id", metavar="ID", help="resume exactly after the record of this id")
    add("--json", action="store_true", help="print each record as a line of JSON; notices go to stderr")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colours (default: auto)")
    add("--no-color", dest="color", action="store_const", const="never", help="the same as --color never")
    add("--utc", action="store_true", help="times in UTC rather than local")
    add("--wide-time", action="store_true", help="dates beside the times")
    add("--no-reconnect", action="store_true", help="end when the connection does")
    add("--origin", metavar="ORIGIN", help="the Origin header to send")
    add("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send a header; repeatable")


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError("a number of records, 0 or more")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Show the stream on this process's terminal until its end or the reader's; return the exit code."""
    import asyncio  # noqa: PLC0415 - see the module's docstring

    for stream in (sys.stdout, sys.stderr):
        # logs are in every script, but the locale's encoding may not be
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        tail = from_arguments(arguments, os.environ, sys.stdout, sys.stderr)
    except ValueError as error:
        print(f"logrelay tail: {clean(str(error))}", file=sys.stderr)
        return 2
    try:
        code = 0
        try:
            code = asyncio.run(tail.run())
        except KeyboardInterrupt:
            # the terminal has shown ^C where the cursor was
            print(file=sys.stderr, end="\n" if sys.stderr.isatty() else "")
        print(tail.tally, file=sys.stderr)
    except BrokenPipeError:
        # the reader of the pipe has enough; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    return code


def from_arguments(
    arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, err: TextIO
) -> "Tail":
    """Make a viewer of what the user wrote. Raises ValueError with a sentence for the user."""
    from logrelay.viewing import stream_url  # noqa: PLC0415 - see the module's docstring

    url = stream_url(arguments.target, arguments.url or environ.get("LOGRELAY_URL") or _BASE)
    # what an address asks for holds, unless an option says otherwise
    asked = {"search": arguments.search, "severity": arguments.severity, "services": arguments.service}
    url = url.update_query({name: value for name, value in asked.items() if value})
    if arguments.since or arguments.last_id:
        url = url.without_query_params(*_PLACE)
        url = url.update_query(
            {"lastId": arguments.last_id} if arguments.last_id else {"lastTimestamp": arguments.since}
        )
    elif arguments.tail is not None or not url.query.keys() & set(_PLACE):
        url = url.update_query(tail=str(_TAIL if arguments.tail is None else arguments.tail))

    def look(stream: TextIO) -> Look:
        colour = coloured(arguments.color, environ, terminal=stream.isatty())
        return Look(colour, UTC if arguments.utc else None, arguments.wide_time)

    return Tail(
        url=url,
        headers=_headers(arguments.header, environ, url),
        origin=arguments.origin,
        out=out,
        err=err,
        look=look(out),
        err_look=look(err),
        as_json=arguments.json,
        reconnect=not arguments.no_reconnect,
    )


def _headers(texts: Iterable[str], environ: Mapping[str, str], url: "URL") -> tuple[tuple[str, str], ...]:
    """The user's headers and the credential from the environment, unless another one is given. Raises ValueError.

    An option's value could be read by everyone on the machine, in the list of processes.
    """
    headers = tuple(_header(text) for text in texts)
    token = environ.get(_VARIABLE, "").strip()
    if not token or url.user is not None or any(name.casefold() == "authorization" for name, _ in headers):
        return headers
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError(f"{_VARIABLE} has characters that no token has")
    return (*headers, ("Authorization", f"Bearer {token}"))


def _header(text: str) -> tuple[str, str]:
    if (match := _HEADER.fullmatch(text)) is None:
        # not quoted: it may be a credential
        raise ValueError("a --header is no header: it would be 'Name: value'")
    return match[1], match[2]


def coloured(choice: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide on colours; NO_COLOR (no-color.org) and a dumb terminal count unless the user insists."""
    if choice != "auto":
        return choice == "always"
    return terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


@attrs.define
class Tally:
    """What a viewer noticed: numbers of records, and whether there was a hole of unknown size."""

    shown: int = 0
    repeated: int = 0
    missing: int = 0
    unknown: bool = False
    reconnects: int = 0

    def miss(self, count: object) -> None:
        """Add a hole, whose size may be unknown."""
        if is_count(count):
            self.missing += count
        else:
            self.unknown = True

    def __str__(self) -> str:
        missing = f"{self.missing:,}"
        if self.unknown:
            missing = f"{missing} and an unknown number more" if self.missing else "an unknown number"
        return (
            f"{terminal.counted(self.shown, 'record')} shown, "
            f"{terminal.counted(self.repeated, 'repeat')} dropped, "
            f"{missing} missing, {terminal.counted(self.reconnects, 'reconnect')}"
        )


@attrs.define(eq=False, kw_only=True)
class Tail:
    """Shows one stream until it ends for good; being cancelled is the reader's wish to end it.

    Records go to ``out`` alone; notices go there too where ``out`` is a terminal, else to ``err``.
    """

    url: "URL" = attrs.field(repr=False)  # of the stream, with what is asked for in its query
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    origin: str | None = None
    out: TextIO = attrs.field(repr=False)
    err: TextIO = attrs.field(repr=False)
    look: Look = attrs.field(factory=Look)
    err_look: Look = attrs.field(factory=Look)
    as_json: bool = False
    reconnect: bool = True
    first_delay: float = 0.5  # seconds
    longest_delay: float = 15.0  # seconds
    jitter: Callable[[], float] = attrs.field(default=SystemRandom().random, repr=False)  # from 0 to 1
    tally: Tally = attrs.field(init=False, factory=Tally)
    last_id: str | None = attrs.field(init=False, default=None)
    _seen: "Seen" = attrs.field(init=False)
    _connected: bool = attrs.field(init=False, default=False)  # ever
    _failures: int = attrs.field(init=False, default=0)  # since the last success
    _told: str | None = attrs.field(init=False, default=None)  # the last end that was announced
    _name_columns: int = attrs.field(init=False, default=6)

    async def run(self) -> int:
        """Stream until an end for good, told on ``err``."""
        import asyncio  # noqa: PLC0415 - see the module's docstring

        from logrelay import viewing  # noqa: PLC0415 - as above

        self._seen = viewing.Seen()
        async with viewing.session() as session:
            while True:
                connection = viewing.Connection(take=self._take, headers=self.headers, origin=self.origin)
                end = await connection.run(session, self._address())
                if end.final or not self.reconnect:
                    self._write(self.err, f"logrelay tail: {clean(end.reason)}")
                    return 1
                await asyncio.sleep(self._pause(end))

    def _address(self) -> "URL":
        """Ask for the reader's place until there is one of our own."""
        if self.last_id is None:
            return self.url
        # an overlap, because a relay that restarted may have put late rows before our place
        place = {"lastId": self.last_id, "overlap": "10"}
        return self.url.without_query_params(*_PLACE).update_query(place)

    def _pause(self, end: "End") -> float:
        """Choose the seconds until the next attempt, and announce each reason once."""
        delay = min(self.longest_delay, self.first_delay * 2.0 ** min(self._failures, 30))
        # also where the relay asks for less, or one that asks for 0 would be hammered
        wait = max(end.wait or 0.0, delay * (0.5 + self.jitter() / 2))
        self._failures += 1
        if end.reason != self._told:
            self._told = end.reason
            self._notice(f"{end.reason}; trying again in {wait:.1f} s")
        return wait

    def _take(self, message: Mapping[str, Any] | None) -> None:
        try:
            self._act(message)
        except RecursionError:
            # JSON may be nested deeper than Python can write it
            self._passed_over()

    def _act(self, message: Mapping[str, Any] | None) -> None:
        match message:
            case {"type": "log", "data": record}:
                self._show(record)
            case {"type": "logs", "data": list(records)}:
                for record in records:
                    self._show(record)
            case {"type": "heartbeat", "data": {"lastId": place}}:
                self._move(place)
            case {"type": "status", "message": str(name), **rest}:
                data = rest.get("data")
                self._status(name, data if isinstance(data, dict) else {})
            case {"type": "error", **rest}:
                self._notice(f"error: {rest.get('message') or rest.get('code')}", warning=True)
            case {"type": "log" | "logs"} | None:
                self._passed_over()

    def _passed_over(self) -> None:
        self.tally.miss(None)
        self._notice("a message that can't be read was passed over", warning=True)

    def _show(self, record: Any) -> None:
        if not isinstance(record, dict):
            self._passed_over()
            return
        self._failures, self._told = 0, None
        record_id = record.get("id")
        # the place moves with repeats too: late rows that are new may follow them
        if self._move(record_id) and not self._seen.add(str(record_id), str(record.get("timestamp"))):
            self.tally.repeated += 1
            return
        if self.as_json:
            lines = terminal.json_line(record)
        else:
            self._widen(terminal.service_name(record))
            lines = terminal.record_lines(record, self.look, self._name_columns)
        self._write(self.out, lines)
        self.tally.shown += 1

    def _move(self, place: object) -> bool:
        """Take an id of the relay as our place, if it can be passed back."""
        if not isinstance(place, str) or not place.isprintable() or not 0 < len(place) <= _PLACE_CHARACTERS:
            return False
        self.last_id = place
        return True

    def _status(self, name: str, data: Mapping[str, Any]) -> None:
        missing = name in {"gap", "lost"}
        # a gap is an entry of the history, so it may come again after a return, as a record may
        again = name == "gap" and "from" in data and not self._seen.add(f"gap {data}", str(data["from"]))
        if missing and not again:
            self.tally.miss(data.get("count"))
        if name == "connected":
            missing = self._arrived(data)
        self._notice(terminal.status_text(name, data, self.look), warning=missing)

    def _arrived(self, data: Mapping[str, Any]) -> bool:
        """Note a connection that stands and tell whether it is known to lack something."""
        self.tally.reconnects += self._connected
        self._connected, self._failures, self._told = True, 0, None
        services = data.get("services")
        for service in services if isinstance(services, list) else []:
            self._widen(clean(str(service.get("name"))) if isinstance(service, dict) else "")
        resume = data.get("resume")
        outcome = resume.get("outcome") if isinstance(resume, dict) else None
        # of "none", only a place of our own proves that there was something to resume from
        missing = outcome == "partial" or (outcome == "none" and self.last_id is not None)
        if missing:
            self.tally.miss(None)
        return missing

    def _widen(self, name: str) -> None:
        self._name_columns = max(self._name_columns, min(terminal.width(name), _NAME_COLUMNS))

    def _notice(self, text: str, *, warning: bool = False) -> None:
        inline = not self.as_json and self.out.isatty()
        look = self.look if inline else self.err_look
        self._write(self.out if inline else self.err, terminal.notice_line(text, look, warning=warning))

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()
