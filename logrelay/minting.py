"""The command ``logrelay token``: makes a token and its line for LOGRELAY_TOKENS_FILE. Keeps only the token's digest.

Imports of weight wait until it runs, because every command of logrelay builds this one's arguments too.
"""

import argparse
import json
import os
import re
import secrets
import sys
import time
from pathlib import Path

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
_SECOND = 1_000_000_000  # nanoseconds
_USAGE = 2
_DESCRIPTION = (
    "Makes a random token. Without --append, its line goes to stdout and the token to stderr: "
    "`logrelay token dashboard --environments ID >>tokens`. With --append, the line goes into the file and the "
    "token to stdout: `TOKEN=$(logrelay token dashboard --environments ID --append tokens)`. "
    "The line has the token's SHA-256 only, so the token can't be shown again."
)


class _Wrong(Exception):
    """What the user asked for can't be done; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add("name", metavar="NAME", help="whose token it is; the relay's log names it")
    add("--environments", required=True, metavar="ID,ID", help="environments that it opens, or '*' for all")
    add("--services", metavar="NAME,NAME", help="names or ids of the only services to be seen")
    add("--expires", metavar="WHEN", help="RFC 3339 time, or from now: 90m, 12h, 7d, 4w")
    add("--append", type=Path, metavar="FILE", help="put the line into this file, at once as a whole")


def run(arguments: argparse.Namespace) -> int:
    """Make a token as the user asked; the exit code."""
    token = secrets.token_urlsafe(32)
    try:
        line = _line(arguments, token)
        if arguments.append is not None:
            _append(arguments.append.resolve(), line)
    except _Wrong as wrong:
        sys.stderr.write(f"logrelay token: {wrong}\n")
        return _USAGE
    if arguments.append is not None:
        sys.stdout.write(f"{token}\n")
        return 0
    sys.stderr.write(f"the token, which can't be shown again:\n{token}\n")
    sys.stdout.write(f"{line}\n")
    return 0


def _line(arguments: argparse.Namespace, token: str) -> str:
    """The token's line, as the relay reads it. Raises _Wrong."""
    from logrelay import readers  # noqa: PLC0415 see the module's docstring
    from logrelay.web.tokens import digest_of  # noqa: PLC0415 as above

    reader = readers.environments()
    try:
        environments = reader.parse(arguments.environments)
    except ValueError:
        raise _Wrong(f"--environments must be {reader.right}") from None
    line: dict[str, object] = {
        "name": arguments.name,
        "sha256": digest_of(token),
        "environments": "*" if "*" in environments else environments,
    }
    if arguments.services is not None:
        line["services"] = [name.strip() for name in arguments.services.split(",") if name.strip()]
    if arguments.expires is not None:
        line["expires"] = _moment(arguments.expires)
    text = json.dumps(line)
    _check(text, "the token")
    return text


def _moment(text: str) -> str:
    """The time that is meant, as RFC 3339. Raises _Wrong."""
    from logrelay.relay import timestamps  # noqa: PLC0415 see the module's docstring

    now = time.time_ns()
    try:
        if match := re.fullmatch(r"([0-9]{1,6})([mhdw])", text):
            moment = now + int(match[1]) * _UNITS[match[2]] * _SECOND
        else:
            moment = timestamps.parse(text)
        told = timestamps.render(moment - moment % _SECOND)
    except ValueError:
        right = "an RFC 3339 time such as 2027-01-31T00:00:00Z, or a number of m, h, d or w such as 7d"
        raise _Wrong(f"--expires must be {right}") from None
    if moment <= now:
        raise _Wrong("--expires is over already")
    return told


def _check(text: str, what: str) -> None:
    """Read lines as the relay will. Raises _Wrong where it couldn't."""
    from logrelay.web.tokens import TokensInvalid, parse  # noqa: PLC0415 see the module's docstring

    try:
        parse(text)
    except TokensInvalid as fault:
        raise _Wrong(f"{what}: {fault}") from None


def _append(file: Path, line: str) -> None:
    """Put a file with one more line in the place of a file, so that nobody reads half a line. Raises _Wrong.

    A new file is for its owner only; one that is there keeps its owner and mode, else the relay might not read it.
    The name of the file-to-be also keeps two who do this at once from losing one of the lines.
    """
    fresh = file.with_name(f"{file.name}.new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise _Wrong(
            f"{fresh} is there: somebody else adds a token, or was cut off; then remove it"
        ) from None
    except OSError as failure:
        raise _Wrong(f"{fresh} can't be written: {failure.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as output:
            output.write(_grown(file, line, output.fileno()))
            output.flush()
            os.fsync(output.fileno())
        fresh.replace(file)
    except OSError as failure:
        raise _Wrong(f"{file} can't be changed: {failure.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)


def _grown(file: Path, line: str, fresh: int) -> bytes:
    """What is to stand in the file; `fresh`, its descriptor, gets the old one's owner and mode. Raises _Wrong."""
    try:
        with file.open("rb") as old:
            found = os.fstat(old.fileno())
            before = old.read()
    except FileNotFoundError:
        return f"{line}\n".encode()
    os.fchown(fresh, found.st_uid, found.st_gid)
    os.fchmod(fresh, found.st_mode & 0o777)
    separator = b"" if not before or before.endswith(b"\n") else b"\n"
    whole = before + separator + f"{line}\n".encode()
    try:
        _check(whole.decode(), str(file))
    except UnicodeDecodeError:
        raise _Wrong(f"{file} is no text file") from None
    return whole
