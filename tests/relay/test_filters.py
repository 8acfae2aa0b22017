"""The filter language as far as it is built."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_making import log

from logrelay.errors import FilterInvalid
from logrelay.relay.filters import EVERYTHING, NAME_LIMIT, SEARCH_LIMIT, SERVICES_LIMIT, TERMS_LIMIT, Filter
from logrelay.relay.records import LogRecord


def refusal(parse: Callable[..., Filter], **wishes: object) -> str:
    """The sentence of a refusal; empty where nothing was refused."""
    try:
        parse(**wishes)
    except FilterInvalid as refused:
        return str(refused)
    return ""


def finds(search: str, message: str) -> bool:
    return Filter.parse(search=search).matches(log(message))


def test_without_any_wish_everything_passes() -> None:
    assert Filter.parse() == EVERYTHING
    assert EVERYTHING.everything
    assert EVERYTHING.matches(log(""))
    assert Filter.parse(services=["", "  "], search="  \t ", severity="debug").everything


@pytest.mark.parametrize(
    ("search", "message", "expected"),
    [
        ("get health", "GET /health 200", True),
        ("get sickness", "GET /health 200", False),
        ("HEALTH GeT", "get /health 200", True),
        ('"get /health"', "GET /health 200", True),
        ('"health get"', "GET /health 200", False),
        ('"a  b"', "a b", False),
        ("-health", "GET /health 200", False),
        ("-health", "GET /users 200", True),
        ('get -"200 OK"', "GET / 200 OK", False),
        ('get -"200 OK"', "GET / 500", True),
        ('get"200"', "GET 200", True),
        ('"get""200"', "GET 200", True),
        ('""', "anything", True),
        ('-""', "anything", True),
        (r'"say \"hi\""', 'they say "hi"', True),
        (r'"c:\\temp"', r"C:\temp", True),
        (r'"c:\temp"', r"C:\temp", True),
        ("a-b", "a-b", True),
        ("well-known", "well unknown", False),
        ('"AND"', "this and that", True),
        ('"(x)"', "f(x)", True),
        ('"@level:error"', "@level:error", True),
        ('"/api/users"', "GET /api/users", True),
        ('"replica:1"', "replica:1", True),
        ('-"-"', "a-b", False),
        ("and or", "sand and ore", True),
        ("/health", "GET /health", True),
        ("strasse", "STRAßE", True),
        ("ÄRGER", "ärger", True),
        ("the\u00a0word", "word the", True),
        ("word", "", False),
    ],
)
def test_words_and_phrases_are_substrings_that_must_all_occur_or_must_not(
    search: str, message: str, *, expected: bool
) -> None:
    assert finds(search, message) is expected


@pytest.mark.parametrize(
    "message",
    [
        "\x1b[31mer\x1b[0mror",
        "\x1b[1;38;5;196mERR\x1b[mOR",
        "er\x9b31mror",
        "\x1b]8;;http://example.com\x1b\\err\x1b]8;;\x1b\\or",
        "\x1b]0;title\x07error",
        "er\x1b(B\x1b[mror",
        "er\x1b7ror",
        "\x1b]never ended error",
        "\x1b[31",
    ],
)
def test_ansi_codes_are_not_seen(message: str) -> None:
    assert finds("error", message) is (message != "\x1b[31")
    assert not finds('"[31m"', message)


def test_text_behind_a_sequence_that_never_ends_is_still_found() -> None:
    assert finds("password", "\x1b]0;no end, password here")


@pytest.mark.parametrize(
    ("search", "message", "expected"),
    [
        ("/GET .* 5[0-9]{2}/", "GET /x 503", True),
        ("/GET .* 5[0-9]{2}/", "get /x 503", False),  # its case counts
        ("/(?i)get/", "GET /x", True),
        ("-/debug|trace/", "a trace", False),
        ("-/debug|trace/", "an error", True),
        (r"/\/api\/users/", "GET /api/users", True),
        ('/a "b/', 'a "b" c', True),
        ("/a  b/", "a  b", True),
        ("/timeout$/", "\x1b[31mtimeout\x1b[0m", True),  # without its colours
        ("/größe|naïve/", "die größe", True),
        ("/x/ y", "x and Y", True),
        ("/x/ y", "x alone", False),
        ("/x/ -/z/", "x z", False),
        ("/health", "GET /health", True),  # one slash is a word's
    ],
)
def test_a_pattern_is_looked_for_in_the_message_as_it_is_written(
    search: str, message: str, expected: object
) -> None:
    assert finds(search, message) is expected


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ("/(/", "the pattern at 1 is not in RE2's syntax, or too large"),
        ("a /x(?=y)/", "the pattern at 3 is not in RE2's syntax, or too large"),
        (r"/(a)\1/", "the pattern at 1 is not in RE2's syntax, or too large"),
        ("/((a{1,100}){1,100}){1,10}/", "the pattern at 1 is not in RE2's syntax, or too large"),
        (
            r"/(a?b?c?d?e?x?y?z?){20}Q/",
            "the pattern at 1 is too large; repeat less, or name fewer characters",
        ),
        ("/\\pL{1,900}/", "the pattern at 1 is not in RE2's syntax, or too large"),
        ("/a/ -/b/ /c/", "at most 2 patterns"),
    ],
)
def test_a_pattern_that_could_cost_too_much_is_refused(search: str, sentence: str) -> None:
    with pytest.raises(FilterInvalid) as refused:
        Filter.parse(search=search)

    assert str(refused.value) == f"search: {sentence}"


def test_a_pattern_that_would_take_others_for_ever_takes_linear_time() -> None:
    wanted = Filter.parse(search="/^(a+)+$/ /(a|aa)+b/")

    assert not wanted.matches(log("a" * 60_000))  # the suite's deadline is long over where it is exponential


def test_equal_patterns_make_equal_filters() -> None:
    one, other = Filter.parse(search="/a.b/"), Filter.parse(search="/a.b/")

    assert one == other
    assert hash(one) == hash(other)
    assert one != Filter.parse(search="-/a.b/")
    assert not one.everything
    assert one.terms == 1


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ("a AND b", "AND is not supported yet, at 3"),
        ("a OR b", "OR is not supported yet, at 3"),
        ("-AND", "AND is not supported yet, at 2"),
        ("(a b)", "parentheses are not supported yet, at 1"),
        ("f(x)", "parentheses are not supported yet, at 2"),
        ("-(a)", "parentheses are not supported yet, at 2"),
        ("@level:error", "@attributes are not supported yet, at 1"),
        ("-@service:api", "@attributes are not supported yet, at 2"),
        ("@duration:>5", "@attributes are not supported yet, at 1"),
        ("@array[0]:1..3", "@attributes are not supported yet, at 1"),
        ('@peer:"my svc"', "@attributes are not supported yet, at 1"),
        ("a replica:5f3a", "replica: is not supported yet, at 3"),
        ("REPLICA:5f3a", "replica: is not supported yet, at 1"),
        ("/api/users", "the pattern at 1 must end with a /"),
        ("a -/api/users", "the pattern at 4 must end with a /"),
        ("//", "the pattern at 1 must end with a /"),
        ("/a/b/", "the pattern at 1 must end with a /"),
        (r"/a\/", "the pattern at 1 must end with a /"),
        ('/a/"b"', "the pattern at 1 must end with a /"),
        ("--a", "a second - at 2"),
    ],
)
def test_what_is_not_built_yet_is_refused_and_the_way_round_is_named(search: str, sentence: str) -> None:
    with pytest.raises(FilterInvalid) as refused:
        Filter.parse(search=search)

    assert str(refused.value) == f"search: {sentence}; put it in quotes to search for the text"


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ('say "hi', "search: unbalanced quote at 5"),
        ('a"', "search: unbalanced quote at 2"),
        (r'"a\"', "search: unbalanced quote at 1"),
        ("-", "search: a word or phrase must follow the - at 1"),
        ("a - b", "search: a word or phrase must follow the - at 3"),
        ("x" * (SEARCH_LIMIT + 1), "search: at most 1024 characters"),
        ("x" * 8192, "search: at most 1024 characters"),
        (
            " ".join(f"w{n}" for n in range(TERMS_LIMIT + 1)),
            "search: at most 32 words and phrases",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(search: str, sentence: str) -> None:
    with pytest.raises(FilterInvalid) as refused:
        Filter.parse(search=search)

    assert str(refused.value) == sentence


@pytest.mark.parametrize("character", ["\0", "\r\n", "\n", "\x1b", "\x7f", "\x85", "\ud800"])
def test_control_characters_and_halves_of_characters_are_refused(character: str) -> None:
    for search in (f"a{character}b", f'"a{character}b"'):
        with pytest.raises(FilterInvalid, match="control characters"):
            Filter.parse(search=search)
    with pytest.raises(FilterInvalid, match="not a service's name or id"):
        Filter.parse(services=[f"a{character}b"])


def test_as_many_terms_and_services_as_allowed_are_taken() -> None:
    Filter.parse(search=" ".join(f"w{n}" for n in range(TERMS_LIMIT)) + " w1 W2")
    Filter.parse(search="x" * SEARCH_LIMIT)
    Filter.parse(services=[f"s{n}" for n in range(SERVICES_LIMIT)] + ["s1", ""])
    Filter.parse(services=["x" * NAME_LIMIT])


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        ([f"s{n}" for n in range(SERVICES_LIMIT + 1)], "services: at most 50"),
        (["x" * (NAME_LIMIT + 1)], "services: not a service's name or id"),
    ],
)
def test_too_many_or_too_long_services_are_refused(services: list[str], sentence: str) -> None:
    with pytest.raises(FilterInvalid) as refused:
        Filter.parse(services=services)

    assert str(refused.value) == sentence


@pytest.mark.parametrize("severity", ["", "ERROR", "fatal", "err"])
def test_an_unknown_severity_is_refused(severity: str) -> None:
    with pytest.raises(FilterInvalid, match="severity: one of debug, info, warn, error"):
        Filter.parse(severity=severity)


def test_a_filter_without_words_does_not_look_at_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: LogRecord) -> str:
        raise AssertionError("the text isn't needed")

    monkeypatch.setattr(LogRecord, "text", property(never))

    assert Filter.parse(["api"], severity="info").matches(log(severity="warn"))
    assert not Filter.parse(["web"]).matches(log())


@given(st.text(max_size=60), st.lists(st.text(max_size=10), max_size=3), st.text(max_size=10))
def test_a_refusal_never_repeats_what_was_sent(search: str, services: list[str], severity: str) -> None:
    marker = "zQ7zQ7"

    sentences = [
        refusal(Filter.parse, services=[f"{marker}{name}" for name in services]),
        refusal(Filter.parse, search=f"{marker}{search}"),
        refusal(Filter.parse, search=f'"{marker}{search}'),
        refusal(Filter.parse, search=f"@{marker}{search}"),
        refusal(Filter.parse, severity=f"{marker}{severity}"),
    ]

    assert sentences[-1]
    assert sentences[-2]
    assert marker not in "".join(sentences)
    assert max(map(len, sentences)) < 200


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_search_is_understood_or_refused(search: str, message: str) -> None:
    try:
        wanted = Filter.parse(search=search)
    except FilterInvalid:
        return
    assert wanted.matches(log(message)) in {True, False}
    assert wanted == Filter.parse(search=search)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
def test_any_text_can_be_searched_for_in_quotes(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert finds(quoted, f"before {text} after")
    assert not finds(f"-{quoted}", f"before {text} after")


@pytest.mark.parametrize(
    ("lowest", "passing"),
    [
        ("debug", {"debug", "info", "warn", "error", None}),
        ("info", {"info", "warn", "error", None}),
        ("warn", {"warn", "error"}),
        ("error", {"error"}),
        (None, {"debug", "info", "warn", "error", None}),
    ],
)
def test_a_severity_lets_itself_and_the_higher_ones_pass_and_null_counts_as_info(
    lowest: str | None, passing: set[str | None]
) -> None:
    wanted = Filter.parse(severity=lowest)

    assert {
        severity
        for severity in ("debug", "info", "warn", "error", None)
        if wanted.matches(log(severity=severity))
    } == passing


def test_services_are_wanted_by_name_or_id_whatever_the_case() -> None:
    wanted = Filter.parse(services=[" API ", "5F3A"])

    assert wanted.services == ("API", "5F3A")
    assert wanted.matches(log(service_id="1", service_name="api"))
    assert wanted.matches(log(service_id="5f3a", service_name=None))
    assert not wanted.matches(log(service_id="1", service_name="worker"))
    assert not wanted.matches(log(service_id=None, service_name=None))


def test_a_service_that_gets_its_name_later_is_found_from_then_on() -> None:
    wanted = Filter.parse(services=["new-api"])

    assert wanted.unknown([("1", "api")]) == ["new-api"]
    assert not wanted.matches(log(service_id="2", service_name=None))
    assert wanted.matches(log(service_id="2", service_name="New-API"))
    assert wanted.unknown([("1", "api"), ("2", "New-API")]) == []


def test_unknown_services_are_named_as_they_were_given() -> None:
    wanted = Filter.parse(services=["API", "gone", "ID-2"])

    assert wanted.unknown([("id-1", "api"), ("id-2", "worker")]) == ["gone"]


def test_all_wishes_must_be_met() -> None:
    wanted = Filter.parse(services=["api"], search="timeout", severity="warn")

    assert wanted.matches(log("Timeout!", severity="error"))
    assert not wanted.matches(log("Timeout!", severity="info"))
    assert not wanted.matches(log("refused", severity="error"))
    assert not wanted.matches(log("Timeout!", severity="error", service_name="worker"))
    assert not wanted.everything


def test_equal_filters_are_equal_and_serve_as_keys() -> None:
    one = Filter.parse(["api"], "a b", "warn")
    other = Filter.parse(["api", "api"], "a b", "warn")

    assert one == other
    assert {one: 1}[other] == 1
    assert one != Filter.parse(["api"], "a c", "warn")
    assert "a b" in repr(one)
