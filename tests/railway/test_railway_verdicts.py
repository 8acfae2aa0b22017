import pytest

from logrelay.railway.verdicts import Kind, Verdict, of_close, of_errors, of_status, retry_after


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(code, Kind.TRANSIENT) for code in (None, 1001, 1006, 1011, 1012, 1013, 4408)],
        (1000, Kind.NORMAL),
        (1009, Kind.OVERSIZE),
        *[(code, Kind.REFUSED) for code in (4401, 4403)],
        *[(code, Kind.MISFIT) for code in (4400, 4406, 4409, 4004, 4005)],
        (4429, Kind.LIMITED),
        (4500, Kind.BROKEN),
    ],
)
def test_a_close_code_is_judged_as_the_table_says(code: int | None, kind: Kind) -> None:
    assert of_close(code).kind is kind


def test_a_limit_without_a_time_lasts_a_minute() -> None:
    assert of_close(4429).retry_after == 60.0
    assert of_status(429, "", None).retry_after == 60.0


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Not Authorized", Kind.REFUSED),
        ("not authorized.", Kind.REFUSED),
        ("Project Token not found", Kind.REFUSED),
        ("Two Factor Authentication Required", Kind.REFUSED),
        ("Problem processing request", Kind.BROKEN),
        ("Internal server error", Kind.BROKEN),
        ("Error in limit - Invalid input", Kind.MISFIT),
        ('Cannot query field "x" on type "Query". GRAPHQL_VALIDATION_FAILED', Kind.MISFIT),
        ("Too many requests", Kind.LIMITED),
        ("Rate limit exceeded", Kind.LIMITED),
        ("There was an error in our data centre", Kind.TRANSIENT),
        ("something new", Kind.TRANSIENT),
    ],
)
def test_an_error_is_judged_by_its_message(message: str, kind: Kind) -> None:
    verdict = of_errors(["", message])

    assert verdict.kind is kind
    assert not verdict.environment


def test_no_error_at_all_is_transient() -> None:
    assert of_errors([]).kind is Kind.TRANSIENT


@pytest.mark.parametrize("message", ["Environment not found", "Project not found"])
def test_an_unknown_environment_is_about_the_environment(message: str) -> None:
    verdict = of_errors([message])

    assert (verdict.kind, verdict.environment) == (Kind.REFUSED, True)


@pytest.mark.parametrize(
    ("status", "content_type", "wait", "expected"),
    [
        (401, "application/json", None, (Kind.REFUSED, None)),
        (403, "application/json; charset=utf-8", None, (Kind.REFUSED, None)),
        (403, "text/html; charset=UTF-8", None, (Kind.BLOCKED, None)),
        (429, "text/html", None, (Kind.BLOCKED, None)),
        (429, "text/html", 7.0, (Kind.LIMITED, 7.0)),
        (429, "application/json", 0.0, (Kind.LIMITED, 0.0)),
        (408, "", None, (Kind.TRANSIENT, None)),
        (500, "text/html", None, (Kind.TRANSIENT, None)),
        (503, "", 3.0, (Kind.TRANSIENT, 3.0)),
        (404, "application/json", None, (Kind.MISFIT, None)),
        (200, "text/html", None, (Kind.MISFIT, None)),
    ],
)
def test_a_status_is_judged_with_its_kind_of_body(
    status: int, content_type: str, wait: float | None, expected: tuple[Kind, float | None]
) -> None:
    verdict = of_status(status, content_type, wait)

    assert (verdict.kind, verdict.retry_after) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "9" * 500}, 86_400.0),
        ({"Retry-After": "Mon, 23 Nov 2026 10:01:00 GMT", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 60.0),
        ({"Retry-After": "Mon, 23 Nov 2026 10:01:00 GMT"}, 30.0),
        ({"Retry-After": "Mon, 23 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 23 Nov 9999 10:01:00 GMT"}, 86_400.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    half_past_ten = 1795428030.0  # 2026-11-23T10:00:30Z

    assert retry_after(headers, half_past_ten) == seconds


def test_our_clock_stands_in_for_theirs() -> None:
    assert retry_after({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0.0


def test_a_verdict_never_quotes_railway() -> None:
    assert "sesame" not in str(of_errors(["sesame not authorized sesame"]))
    assert isinstance(of_errors(["x"]), Verdict)
