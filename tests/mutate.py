"""Whether the tests bite: `python tests/mutate.py` switches off one safeguard at a time and runs tests.

Everything happens in a temporary copy of the tree. For each mutation a table says which test caught it (and passes
without it), or that it SURVIVED; the exit code is 1 when one survived, or could not be tried. Those of the page are
built anew and looked at in a browser: where `npm ci` has not been run or there is no Chromium they are skipped, except
in CI.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[1]
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "*.egg-info", "build")
VIEWER = "logrelay/viewer"
PATIENCE = 300  # seconds for all tests of one mutation; when they are over, something hangs
ONE_TEST = 60  # seconds for any one test
NOTHING_FAILED, SOME_FAILED = 0, 1  # pytest's exit codes
_FAILURE = re.compile(r"^FAILED (\S+::.*?)(?: - .*)?$", re.MULTILINE)


@attrs.frozen
class Mutation:
    """One safeguard switched off: in a file, a snippet that stands there exactly once gives way to another one.

    However many spaces and line breaks part the snippet's words, it is found. `tests` are what pytest is given, in this
    order; it stops at the first failure. A file of the page's or the client's is built for each try.
    """

    name: str
    file: str
    snippet: str
    instead: str
    tests: Sequence[str]

    @property
    def built(self) -> bool:
        """Whether the file is TypeScript, which a browser sees once it is built."""
        return self.file.endswith(".ts")

    def apply(self, source: str) -> str:
        """The mutated source. Raises LookupError when the snippet isn't there, or more than once."""
        found = list(re.finditer(r"\s+".join(map(re.escape, self.snippet.split())), source))
        if len(found) != 1:
            raise LookupError(f"{self.snippet!r} stands {len(found)} times in {self.file}")
        start, end = found[0].span()
        return source[:start] + self.instead + source[end:]


SYSTEM = "tests/system/test_relay.py"
BROWSER = "tests/viewer/browser"
MUTATIONS = (
    Mutation(
        "overlap: a resubscription reaches back",
        "logrelay/railway/intake.py",
        "watermark - self._overlap",
        "watermark",
        ["tests/railway/test_railway_faults.py", SYSTEM],
    ),
    Mutation(
        "de-duplication: a row is recognised",
        "logrelay/relay/identities.py",
        "if count <= self._counts.get(key, 0):",
        "if count < 0:",
        ["tests/railway/test_railway_faults.py", "tests/relay/test_identities.py", SYSTEM],
    ),
    Mutation(
        "de-duplication: the history takes an id once",
        "logrelay/relay/history.py",
        "elif self._number(entry.id, ns) is None:",
        "elif self._number(entry.id, ns) != -1:",
        ["tests/relay/test_history.py", SYSTEM],
    ),
    Mutation(
        "ordinal: equal rows of one frame are several",
        "logrelay/relay/identities.py",
        'key if count == 1 else f"{key}~{count}"',
        "key",
        ["tests/relay/test_identities.py", "tests/railway/test_railway_faults.py", SYSTEM],
    ),
    Mutation(
        "truncation: a full frame is suspicious",
        "logrelay/railway/delivery.py",
        "whole and intake.truncated(",
        "False and intake.truncated(",
        ["tests/railway/test_railway_faults.py", "tests/railway/test_railway_holes.py"],
    ),
    Mutation(
        "seam: what was fetched isn't sent again",
        "logrelay/web/placing.py",
        "again = entry.id in self.already",
        "again = False",
        ["tests/web/test_placing.py", SYSTEM],
    ),
    Mutation(
        "seam: the history's beginning is looked at again",
        "logrelay/web/placing.py",
        "if floor is None or floor <= self._reached:",
        "if floor is None or floor <= self._reached or reason is None:",
        ["tests/web/test_placing.py", SYSTEM],
    ),
    Mutation(
        "order: what came late goes before the next page of the past",
        "logrelay/web/placing.py",
        "if record.ns <= reached and record.id not in self.already",
        "if record.ns <= reached and False",
        ["tests/promises/test_schedules.py", "tests/web/test_placing.py"],
    ),
    Mutation(
        "crowd: who joins is where the bell comes by",
        "logrelay/web/audience.py",
        "self._crowds[view] = crowd  # moving",
        "pass  # moving",
        ["tests/web/test_audience.py"],
    ),
    Mutation(
        "gap: what can't be fetched is said live",
        "logrelay/relay/hub.py",
        "self._append([Notice(message, data, time.time_ns())])",
        'self._append([Notice(message, data, time.time_ns())] if message != "gap" else [])',
        ["tests/relay/test_hub.py", "tests/promises/test_poison.py"],
    ),
    Mutation(
        "gap: what can't be fetched is said in a resume",
        "logrelay/web/placing.py",
        'Notice( "gap",',
        'Notice("note",',
        ["tests/web/test_placing.py"],
    ),
    Mutation(
        "lost: who falls off the history is told",
        "logrelay/web/client.py",
        'self._socket.send(protocol.status("lost", data))',
        "pass",
        ["tests/promises/test_flood.py", "tests/web/test_client.py"],
    ),
    Mutation(
        "origin: a foreign page is turned away",
        "logrelay/web/origins.py",
        "return parsed in self._known or (",
        "return True or (",
        ["tests/web/test_origins.py"],
    ),
    Mutation(
        "origin: a star doesn't count for a cookie",
        "logrelay/web/origins.py",
        "if self._everyone and not cookie:",
        "if self._everyone:",
        ["tests/web/test_origins.py"],
    ),
    Mutation(
        "cookie: it goes along with no subprotocol",
        "logrelay/web/credentials.py",
        'headers = self._asked_with({hdrs.AUTHORIZATION: f"Bearer {token}"})',
        'headers = self._asked_with({hdrs.AUTHORIZATION: f"Bearer {token}"}, request)',
        ["tests/web/test_credentials.py"],
    ),
    Mutation(
        "credential: a token in the URL is refused",
        "logrelay/web/credentials.py",
        "if self.required and any(",
        "if False and any(",
        ["tests/web/test_credentials.py"],
    ),
    Mutation(
        "scope: a grant is for its environments",
        "logrelay/web/access.py",
        "if not grant.covers(environment_id):",
        "if False:",
        ["tests/web/test_tenants.py"],
    ),
    Mutation(
        "scope: records of other services don't leave",
        "logrelay/relay/filters.py",
        "if self._scope is not None and not self._scope.matches(record):",
        "if False:",
        ["tests/web/test_leases.py"],
    ),
    Mutation(
        "scope: rows of another environment are refused",
        "logrelay/railway/rows.py",
        "or named.casefold() == environment_id.casefold()",
        "or True",
        ["tests/railway/test_railway_faults.py"],
    ),
    Mutation(
        "expiry: a connection ends with its credential",
        "logrelay/web/leases.py",
        "left = self.grant.seconds due = min(",
        "left = None\n        due = min(",
        ["tests/web/test_leases.py"],
    ),
    Mutation(
        "revocation: live connections end",
        "logrelay/web/leases.py",
        "if tickets.revoked(lease.grant):",
        "if False:",
        ["tests/web/test_tenants.py"],
    ),
    Mutation(
        "forward: a redirect is no answer",
        "logrelay/web/forward.py",
        "allow_redirects=False",
        "allow_redirects=True",
        ["tests/web/test_forward.py"],
    ),
    Mutation(
        "limit: a place that is taken is taken",
        "logrelay/web/places.py",
        "if most is not None and self._by_key[key] >= most:",
        "if False:",
        ["tests/web/test_places.py", "tests/web/test_stream.py"],
    ),
    Mutation(
        "abort: who never reads is found",
        "logrelay/web/socket.py",
        "return self._still >= _LOOKS",
        "return False",
        ["tests/web/test_client.py"],
    ),
    Mutation(
        "abort: the system keeps nothing for who never read",
        "logrelay/web/socket.py",
        "stdlib_socket.SO_LINGER, _RESET",
        "stdlib_socket.SO_KEEPALIVE, 1",
        ["tests/promises/test_stuck.py"],
    ),
    Mutation(
        "redaction: secrets go before records are kept",
        "logrelay/railway/intake.py",
        "redactor=self._redactor",
        "redactor=None",
        ["tests/system/test_redacted.py"],
    ),
    Mutation(
        "redaction: no half of a secret stays",
        "logrelay/relay/records.py",
        "kept = kept[:-_MARGIN]",
        "kept = kept[:]",
        ["tests/relay/test_redaction.py"],
    ),
    Mutation(
        "page: a line is text, whatever is in it",
        "logrelay/viewer/page/row.ts",
        "return document.createTextNode(part.text);",
        "return document.createRange().createContextualFragment(part.text);",
        [f"{BROWSER}/test_browser_hostile.py::test_every_hostile_line_is_text_in_the_list_and_in_the_drawer"],
    ),
    Mutation(
        "page: a token is kept where that was asked for",
        "logrelay/viewer/page/signin.ts",
        "if (remember.checked) keep(token);",
        "keep(token);",
        [
            f"{BROWSER}/test_browser_signin.py::test_a_token_is_asked_for_and_a_bad_one_is_refused_with_the_reason"
        ],
    ),
    Mutation(
        "page: who scrolls up is left in peace",
        "logrelay/viewer/page/list.ts",
        "if (this.following && top < this.lastTop - 2 && !atEnd) this.follow(false); else if",
        "if",
        [f"{BROWSER}/test_browser_live.py::test_scrolling_up_pauses_and_the_line_stays_where_it_is[desktop]"],
    ),
    Mutation(
        "page: what is read stays as older lines come",
        "logrelay/viewer/page/list.ts",
        "this.move(this.scroller.scrollTop + missing);",
        "",
        [
            f"{BROWSER}/test_browser_live.py::test_older_lines_load_above_and_nothing_that_is_read_moves[desktop]"
        ],
    ),
    Mutation(
        "client: a search that is left is cancelled",
        "logrelay/viewer/client/history.ts",
        'this.send({ type: "cancel", request });',
        "void request;",
        [f"{BROWSER}/test_browser_older.py::test_a_search_that_is_left_is_stopped_at_the_relay_too[Escape]"],
    ),
)


class NotTried(Exception):
    """A mutation could not be tried; the text says why."""


@attrs.frozen
class Copy:
    """A copy of the tree that nobody else uses."""

    folder: Path

    def environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return kept | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy. Raises NotTried when it doesn't end."""
        return self._run([sys.executable, *command], self.folder)

    def build(self) -> None:
        """Build the page and the client. Raises NotTried when that doesn't work."""
        done = self._run(["npm", "run", "build"], self.folder / VIEWER)
        if done.returncode:
            raise NotTried(
                "the page is not built:\n" + textwrap.indent((done.stdout + done.stderr)[-2000:], "    ")
            )

    def _run(self, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd=folder,
                env=dict(self.environment()),
                check=False,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise NotTried(f"it takes more than {PATIENCE} s") from None

    def check(self) -> None:
        """Raises NotTried where Python would import logrelay from elsewhere: nothing would be mutated then."""
        place = self.run("-c", "import logrelay; print(logrelay.__file__)").stdout.strip()
        if not place.startswith(str(self.folder)):
            raise NotTried(f"logrelay is imported from {place or 'nowhere'}, and not from the copy")

    def failure(self, tests: Sequence[str], *tiers: str) -> str | None:
        """The first test that fails, or None when none does."""
        quiet = ("-q", "--no-header", "--tb=no", "-rf", "-p", "no:cacheprovider", f"--timeout={ONE_TEST}")
        done = self.run("-m", "pytest", "-x", *quiet, *tiers, *tests)
        found = _FAILURE.search(done.stdout)
        if done.returncode == NOTHING_FAILED:
            return None
        if done.returncode != SOME_FAILED or found is None:
            raise NotTried("pytest failed:\n" + textwrap.indent((done.stdout + done.stderr)[-2000:], "    "))
        return found[1]

    def try_out(self, mutation: Mutation) -> str | None:
        """The test that catches a mutation, None when none does. Raises NotTried. The copy is as before then."""
        path = self.folder / mutation.file
        source = path.read_text(encoding="utf-8")
        tiers = ("-m", "not long") if mutation.built else ()
        try:
            mutated = mutation.apply(source)
            if not mutation.built:
                compile(mutated, mutation.file, "exec")
        except (LookupError, SyntaxError) as error:
            raise NotTried(f"the patch no longer applies: {error}") from None
        path.write_text(mutated, encoding="utf-8")
        try:
            if mutation.built:
                self.build()
            caught = self.failure(mutation.tests, *tiers)
        finally:
            path.write_text(source, encoding="utf-8")
            if mutation.built:
                self.build()
        if caught is not None and self.failure([caught], *tiers) is not None:
            raise NotTried(f"{caught} fails without the mutation, too")
        return caught


def missing() -> str | None:
    """What the mutations of the page need and this machine hasn't, if anything."""
    if shutil.which("npm") is None or not (ROOT / VIEWER / "node_modules").is_dir():
        return f"`npm ci` has not been run in {VIEWER}"
    names = (os.environ.get("LOGRELAY_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return None if any(name and shutil.which(name) for name in names) else "there is no Chromium"


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def row(mutation: Mutation, try_out: Callable[[Mutation], str | None]) -> bool:
    """Try a mutation and write its line of the table; whether it was caught."""
    began = time.monotonic()
    try:
        caught = try_out(mutation)
    except NotTried as error:
        verdict = f"NOT TRIED: {error}"
        good = False
    else:
        verdict = "SURVIVED" if caught is None else caught
        good = caught is not None
    tell(f"{mutation.name:<52}{time.monotonic() - began:5.0f} s  {verdict}")
    return good


def main() -> int:
    """Try all mutations, or those whose name holds the given text."""
    parser = argparse.ArgumentParser(
        description="Switch off one safeguard at a time and see which test fails."
    )
    parser.add_argument("name", nargs="?", default="", help="only the mutations whose name holds this")
    chosen = [mutation for mutation in MUTATIONS if parser.parse_args().name in mutation.name]
    lacking = missing()
    if lacking and not os.environ.get("CI"):
        skipped = [mutation for mutation in chosen if mutation.built]
        chosen = [mutation for mutation in chosen if not mutation.built]
        tell(f"{len(skipped)} of the page are skipped: {lacking}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        copy = Copy(Path(place, "tree").resolve())
        shutil.copytree(ROOT, copy.folder, ignore=LEFT_BEHIND)
        (copy.folder / VIEWER / "node_modules").symlink_to(ROOT / VIEWER / "node_modules")
        try:
            copy.check()
        except NotTried as error:
            tell(str(error))
            return 1
        tell(f"{'mutation':<52}{'took':>7}  caught by")
        caught = [row(mutation, copy.try_out) for mutation in chosen]
    tell(f"{sum(caught)} of {len(chosen)} caught")
    return 0 if chosen and all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
