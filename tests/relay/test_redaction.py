"""What is a secret vanishes before anything keeps it, and what only looks like one stays."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redaction_corpus import (
    ACCESS_KEY,
    DISGUISED,
    GITHUB,
    LOOKALIKES,
    PAIRS,
    PEM_HEAD,
    SECRETS,
    SLACK,
    STRIPE,
    UNPAIRED,
    Case,
    jwt,
    pem,
)
from relay_making import BASE, row, wire

from logrelay import settings as configuration
from logrelay.errors import SettingsInvalid
from logrelay.relay import records
from logrelay.relay.records import MESSAGE_LIMIT, Content
from logrelay.relay.redaction import RULES_LIMIT, Redactor, Rule, RulesInvalid, read_rules
from logrelay.relay.shapes import SHAPES

DEFAULT = Redactor()
PAIRED = Redactor(pairs=True)
NONE = Redactor(shapes=False)


def name(case: Case) -> str:
    """A test's name, which must not show what the test is to hide."""
    return case.rule


def place(text: str) -> str:
    return f"look-alike-{(LOOKALIKES + UNPAIRED).index(text)}"


def made(redactor: Redactor | None, content: Content) -> dict[str, object]:
    return wire(
        records.record(content, records.key(content, BASE), BASE, service_name="api", redactor=redactor)
    )


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# -- the corpus ------------------------------------------------------------------------------------------------------


def test_the_corpus_is_large_and_has_every_shape(capsys: pytest.CaptureFixture[str]) -> None:
    positives = len(SECRETS) + len(DISGUISED)

    with capsys.disabled():
        print(  # noqa: T201 whoever runs the tests is told
            f"\nredaction corpus: {positives} secrets ({len(DISGUISED)} disguised), {len(LOOKALIKES)} look-alikes; "
            f"with pairs {len(PAIRS)} and {len(UNPAIRED)} more"
        )

    assert min(positives, len(LOOKALIKES)) >= 60
    assert {rule for rule, _ in SHAPES} == {case.rule for case in SECRETS}


@pytest.mark.parametrize("case", SECRETS + DISGUISED, ids=name)
def test_a_secret_vanishes_and_what_stands_around_it_stays(case: Case) -> None:
    assert case.secret in case.text
    assert (case.expected, 1) == DEFAULT.text(case.text)
    assert DEFAULT.suspects(case.text, ())


@pytest.mark.parametrize("case", PAIRS, ids=name)
def test_the_value_of_a_pair_vanishes_where_that_is_switched_on(case: Case) -> None:
    assert (case.expected, 1) == PAIRED.text(case.text)
    assert PAIRED.suspects(case.text, ())
    assert DEFAULT.text(case.text)[1] == 0


@pytest.mark.parametrize("text", LOOKALIKES, ids=place)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert DEFAULT.text(text) == (text, 0)


@pytest.mark.parametrize("text", UNPAIRED, ids=place)
def test_what_only_looks_like_a_pair_stays(text: str) -> None:
    assert PAIRED.text(text) == (text, 0)


@pytest.mark.parametrize("case", SECRETS + DISGUISED, ids=name)
@pytest.mark.parametrize("redactor", [DEFAULT, PAIRED], ids=["shapes", "pairs"])
def test_a_secret_vanishes_wherever_it_stands_in_a_record(case: Case, redactor: Redactor) -> None:
    nested = {"a": [1, {"b": case.text}], case.text: None}
    content = row(case.text, attributes=(("said", as_json(case.text)), ("nested", json.dumps(nested))))

    value = made(redactor, content)

    assert case.secret not in json.dumps(value, ensure_ascii=False)
    assert case.secret not in [*strings(value)]
    assert value["redacted"] == sum(text.count("[redacted:") for text in strings(value))


def strings(value: object) -> list[str]:
    """All texts of a JSON value, names as well."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


# -- redacting ---------------------------------------------------------------------------------------------------------


def test_many_secrets_are_counted_by_rule() -> None:
    redactor = Redactor()
    assert set(redactor.counts.values()) == {0}

    text, count = redactor.text(f"{GITHUB} and {SLACK} and {GITHUB}")
    redactor.text(f"again {SLACK}")

    assert (text, count) == ("[redacted:github] and [redacted:slack] and [redacted:github]", 3)
    assert {rule: n for rule, n in redactor.counts.items() if n} == {"github": 2, "slack": 2}
    assert repr(redactor) == f"<Redactor {len(redactor.counts)} rules, 4 redactions>"


def test_secrets_that_overlap_are_one_and_nothing_of_either_stays() -> None:
    text, count = DEFAULT.text(f"https://joe:{GITHUB}+rest@example.com/ Authorization: Bearer {jwt()}")

    assert (text, count) == (
        "https://joe:[redacted:github]@example.com/ Authorization: Bearer [redacted:jwt]",
        2,
    )


def test_without_rules_nothing_is_touched() -> None:
    assert not NONE.suspects(GITHUB, ())
    assert NONE.text(GITHUB) == (GITHUB, 0)
    assert NONE.counts == {}
    assert made(NONE, row(GITHUB)) == made(None, row(GITHUB))


@pytest.mark.parametrize(
    "text", ["\ud800", f"\udfff {GITHUB}\ud83d", f"://u:\ud800@h {STRIPE}", "\x00\x9b\x1b["]
)
def test_halves_of_characters_do_no_harm(text: str) -> None:
    for redactor in (DEFAULT, PAIRED):
        redactor.suspects(text, (("a\ud800", '"\ud800"'),))
        redacted, _ = redactor.text(text)

        assert GITHUB not in redacted
        assert STRIPE not in redacted
    json.dumps(made(DEFAULT, row(text))).encode()


PIECES = st.one_of(
    st.sampled_from([case.text for case in SECRETS + DISGUISED + PAIRS] + list(LOOKALIKES + UNPAIRED)),
    st.sampled_from(
        [
            "Bearer ",
            "authorization: ",
            "://u:",
            "@",
            "\\",
            '\\"',
            "\x1b[32m",
            "\x1b",
            "\x1b]8;;",
            "\x07",
            "password=",
        ]
    ),
    st.sampled_from(["[redacted:jwt]", "[redacted:", "]", "eyJ", "\\u0042", PEM_HEAD]),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs"]), max_size=3),
    st.integers(0, 60).map(lambda count: GITHUB[:count]),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from([DEFAULT, PAIRED]))
def test_redacting_twice_finds_nothing_more_and_nothing_is_found_unsuspected(
    text: str, redactor: Redactor
) -> None:
    once, count = redactor.text(text)

    assert redactor.text(once) == (once, 0)
    if count:
        assert redactor.suspects(text, ())
        assert redactor.suspects("", (("a", json.dumps(text)),))
        assert redactor.suspects("", (("a", json.dumps([{"b": text}])),))
    else:
        assert once is text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters=":=-.\\_\x1b\x9b/")))
def test_a_text_without_anything_that_secrets_have_is_the_very_same(text: str) -> None:
    for redactor in (DEFAULT, PAIRED):
        assert redactor.text(text)[0] is text


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        TEXTS, st.recursive(TEXTS | st.none() | st.integers(), st.lists, max_leaves=5), max_size=4
    ),
    TEXTS,
)
def test_a_record_is_made_of_whatever_comes_and_needs_no_second_look(
    attributes: dict[str, object], message: str
) -> None:
    content = row(message, attributes=tuple((key, json.dumps(value)) for key, value in attributes.items()))

    value = made(PAIRED, content)

    again = made(PAIRED, row(str(value["message"])))
    assert "redacted" not in again
    assert [text for text in strings(value["attributes"]) if PAIRED.text(text)[1]] == []


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [
        PEM_HEAD + "A" * 20 + " ",
        "://a:b@ ",
        "://a:x/",
        "Authorization: Basic ",
        "bearer " + "a" * 39 + " ",
        "eyJ" + "a" * 12 + ".",
        "\\",
        '\\"',
        "\x1b[",
        "\x1b]",
        'password="\\',
        "password=)",
        "[redacted:jwt]password=x ",
    ],
)
def test_text_made_to_take_long_takes_no_longer_than_its_size(piece: str) -> None:
    text = piece * (MESSAGE_LIMIT // len(piece))
    began = time.monotonic()

    for redactor in (DEFAULT, PAIRED):
        redactor.suspects(text, ())
        redactor.text(text)

    assert time.monotonic() - began < 5  # generous; with a quadratic search it is minutes


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "(a+)+b|a"])
def test_a_rule_that_would_take_others_for_ever_is_harmless(pattern: str) -> None:
    redactor = Redactor(rules=[Rule("slow", pattern)])
    began = time.monotonic()

    redactor.text("a" * MESSAGE_LIMIT + "!")

    assert time.monotonic() - began < 5


def test_a_text_full_of_secrets_is_cut_short_rather_than_searched_for_ever() -> None:
    redactor = Redactor(rules=[Rule("x-and-digit", "x[0-9]")])

    text, count = redactor.text("x1 " * 5000)

    assert count == 1000
    assert text == "[redacted:x-and-digit] " * 999 + "[redacted:x-and-digit]"


# -- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", range(MESSAGE_LIMIT - 60, MESSAGE_LIMIT + 10, 7))
def test_no_half_of_a_secret_stays_at_the_border(before: int) -> None:
    message = f"{'.' * (before - 1)} {GITHUB}{' x' * 20_000}"

    value = made(DEFAULT, row(message))

    kept = str(value["message"])
    assert GITHUB[:8] not in kept
    assert MESSAGE_LIMIT - 100 < len(kept) <= MESSAGE_LIMIT
    assert value["truncated"] is True
    assert value["size"] == len(message)


def test_no_half_of_a_secret_moves_in_from_beyond_the_limit() -> None:
    # The key shrinks to a few characters, and the end of what was looked at moves to where it would be kept.
    edge = MESSAGE_LIMIT + 8192
    key = pem() * 150
    message = f"{key} {'.' * (edge - len(key) - 12)}redis://:{GITHUB[:4]}hunter2@cache {'x' * 100}"
    assert len(key) < MESSAGE_LIMIT - 1000
    assert message[:edge].endswith(f"redis://:{GITHUB[:2]}")

    value = made(DEFAULT, row(message))

    assert "redis" not in str(value["message"])
    assert "PRIVATE" not in str(value["message"])
    assert value["size"] == len(message)


def test_a_message_that_fits_once_its_secret_has_gone_is_not_cut() -> None:
    message = pem(newline="\\n") * 200

    value = made(DEFAULT, row(message[: MESSAGE_LIMIT + 100] + "; the end"))

    assert str(value["message"]).endswith("; the end")
    assert "truncated" not in value


def test_a_message_that_outgrows_the_limit_by_redaction_is_cut() -> None:
    message = "redis://:p@h " * 900
    message += "x" * (MESSAGE_LIMIT - len(message))

    value = made(DEFAULT, row(message))

    assert value["truncated"] is True
    assert value["size"] == len(message)
    assert ":p@" not in str(value["message"])


def test_a_line_of_64_mib_costs_no_more_than_its_beginning() -> None:
    message = f"{GITHUB} {'Bearer x1 ' * (64 * 1024 * 1024 // 10)}"
    began = time.monotonic()

    value = made(DEFAULT, row(message))

    assert time.monotonic() - began < 10
    assert str(value["message"]).startswith("[redacted:github] Bearer x1")
    assert value["size"] == len(message)


def test_secrets_beside_an_attribute_that_is_too_big_vanish() -> None:
    attributes = (("big", as_json("x" * 70_000)), ("token", as_json(GITHUB)))

    assert made(DEFAULT, row("hello", attributes=attributes))["attributes"] == {"token": "[redacted:github]"}


# -- records -------------------------------------------------------------------------------------------------------


def test_the_identity_is_made_of_what_came() -> None:
    first, second = row(f"a {GITHUB}"), row(f"a {GITHUB[:-1]}0")

    one, two = made(DEFAULT, first), made(DEFAULT, second)

    assert one["message"] == two["message"] == "a [redacted:github]"
    assert one["id"] != two["id"]
    assert one["id"] == made(None, first)["id"]


def test_a_clean_record_is_what_it_would_be_without_redaction() -> None:
    content = row("GET /health 200", attributes=(("status", "200"), ("path", '"/health"')))

    assert made(DEFAULT, content) == made(None, content)
    assert "redacted" not in made(DEFAULT, content)


def test_filters_see_the_text_after_redaction() -> None:
    content = row(f"failed with {GITHUB}")
    record = records.record(content, "id", BASE, service_name=None, redactor=DEFAULT)

    assert record.text == "failed with [redacted:github]"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hunter2", "[redacted:pair]"),
        ("two words", "[redacted:pair]"),
        (12345, "[redacted:pair]"),
        (["a", "b"], "[redacted:pair]"),
        ({"a": 1}, "[redacted:pair]"),
        (None, None),
        (True, True),
        ("", ""),
        ("****", "****"),
        ("[redacted:jwt]", "[redacted:jwt]"),
    ],
)
@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "apiKey", "x-api-key", "auth.token", "Authorization"]
)
def test_the_value_of_an_attribute_with_such_a_name_vanishes_whole(
    name: str, value: object, expected: object
) -> None:
    attributes = ((name, json.dumps(value)), ("nested", json.dumps({"n": {name: value}})))
    here = {name: expected, "nested": {"n": {name: expected}}}

    assert made(PAIRED, row("hello", attributes=attributes))["attributes"] == here


@pytest.mark.parametrize("name", ["tokens", "token_count", "secretary", "password_reset", "keys", "author"])
def test_the_value_of_an_attribute_with_another_name_stays(name: str) -> None:
    assert made(PAIRED, row("hello", attributes=((name, '"x"'),)))["attributes"] == {name: "x"}


# -- rules of one's own ----------------------------------------------------------------------------------------------


def test_own_rules_are_read_and_applied() -> None:
    rules = read_rules(
        "# customers\n\n  customer-id   \\bcus_(?P<secret>[0-9]{6})\\b\nplate\t^[A-Z]{2}-[0-9]+$\n".replace(
            "\t", " "
        )
    )
    redactor = Redactor(pairs=True, rules=rules)

    assert [rule.name for rule in rules] == ["customer-id", "plate"]
    assert redactor.text("for cus_123456 ok") == ("for cus_[redacted:customer-id] ok", 1)
    value = made(redactor, row("hello", attributes=(("plate", '"AB-12"'), ("other", '"AB-12x"'))))
    assert value["attributes"] == {"plate": "[redacted:plate]", "other": "AB-12x"}
    assert redactor.counts["plate"] == redactor.counts["customer-id"] == 1
    assert "cus_" not in repr(rules)


def test_own_rules_are_taken_at_their_word() -> None:
    redactor = Redactor(rules=[Rule("code-name", "hidden|x+")])

    assert redactor.text("hidden ****")[0] == "[redacted:code-name] ****"


def test_a_bad_file_of_rules_is_a_fault_of_its_setting(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("fine x+\n\ncard hunter2(\nCard hunter2\n", encoding="utf-8")
    token = {"RAILWAY_TOKEN": "t"}

    with pytest.raises(SettingsInvalid) as caught:
        configuration.read(token | {"LOGRELAY_REDACT_RULES_FILE": str(path)})
    told = [fault.partition(": ")[2] for fault in caught.value.faults]

    assert all(fault.startswith("LOGRELAY_REDACT_RULES_FILE: line ") for fault in caught.value.faults)
    assert [fault[:13] for fault in told] == ["line 3 (card)", "line 4: a rul"]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_of_rules_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rules"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsInvalid, match="LOGRELAY_REDACT_RULES_FILE must be the path of a file"):
        configuration.read({"RAILWAY_TOKEN": "t", "LOGRELAY_REDACT_RULES_FILE": str(path)})


def test_a_group_that_takes_no_part_in_a_match_means_all_of_it() -> None:
    redactor = Redactor(rules=[Rule("either", "a(?P<secret>[0-9]+)|b[0-9]+")])

    assert redactor.text("a1 b2") == ("a[redacted:either] [redacted:either]", 2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hunter2( x", "line 1"),
        ("ok x+\nBad-name hunter2", "line 2: a rule's name"),
        ("mine hunter2(", "line 1 (mine): the pattern is not in RE2's syntax"),
        ("mine hunter2(?=x)", "line 1 (mine): the pattern is not in RE2's syntax"),
        (
            "mine ((hunter2{100}){100}){100}",
            "line 1 (mine): the pattern is not in RE2's syntax, or too large",
        ),
        ("mine", "line 1: the pattern is missing"),
        ("mine (hunter2)*", "line 1 (mine): the pattern matches the empty text"),
        ("# hunter2\njwt hunter2", "line 2 (jwt): there is a rule of that name"),
        ("mine a\nmine hunter2", "line 2 (mine): there is a rule of that name"),
        ("\n".join(f"rule-{n} hunter2" for n in range(RULES_LIMIT + 1)), "at most 100 rules"),
        ("# hunter2\n", "no rule"),
    ],
)
def test_a_bad_file_of_rules_is_told_by_line_and_name_and_no_pattern_shows(
    text: str, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_rules(text)

    (told,) = caught.value.faults
    assert fault in told
    assert "hunter2" not in told
    assert capfd.readouterr() == ("", "")


def test_every_fault_of_a_file_of_rules_is_told_at_once() -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_rules("a (\nb [\nc")

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "line 1 (a)",
        "line 2 (b)",
        "line 3",
    ]


def test_rules_that_are_too_large_together_are_refused() -> None:
    text = "\n".join(f"rule-{n} {chr(97 + n % 26)}{n}\\pL{{6}}x" for n in range(RULES_LIMIT))
    assert read_rules(text.partition("\n")[0])

    with pytest.raises(RulesInvalid, match="too large together"):
        read_rules(text)


def test_an_access_key_is_redacted_by_its_own_rule_first() -> None:
    redactor = Redactor(rules=[Rule("mine", "AK[A-Z0-9]+")])

    assert redactor.text(f"key {ACCESS_KEY}!") == ("key [redacted:aws-access-key]!", 1)
