"""Configuration: read once, all faults at once, no secret shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrelay import settings
from logrelay.app import GATEWAY, HUBS, build
from logrelay.errors import SettingsInvalid
from logrelay.railway.feed import Feed

GOOD = {"RAILWAY_API_TOKEN": "0f1e2d3c-token", "LOGRELAY_ENVIRONMENTS": "one"}


def faults(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        settings.read(environ)
    return caught.value.faults


def test_defaults_are_those_of_the_documents() -> None:
    configured, warnings = settings.read(GOOD)

    assert warnings == []
    assert (configured.host, configured.port) == ("127.0.0.1", 8080)
    assert configured.railway_url == "https://backboard.railway.com/graphql/v2"
    assert configured.websocket_url == "wss://backboard.railway.com/graphql/v2"
    assert configured.environments == ("one",)
    assert configured.allowed_origins == ()
    assert configured.max_connections_per_environment == 10
    assert (configured.history_records, configured.history_mb, configured.history_seconds) == (
        50_000,
        64,
        3600,
    )
    assert (configured.linger_seconds, configured.heartbeat_seconds, configured.overlap_seconds) == (
        30,
        25,
        30,
    )


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({"PORT": "9000"}, 9000),
        ({"LOGRELAY_PORT": "9001", "PORT": "9000"}, 9001),
        ({"LOGRELAY_PORT": "tcp://10.0.0.1:80", "PORT": "9000"}, 9000),
        ({"LOGRELAY_PORT": "tcp://10.0.0.1:80"}, 8080),
        ({"PORT": "0"}, 0),
        ({"PORT": ""}, 8080),
    ],
)
def test_the_port_is_railways_unless_set_and_never_kubernetes(environ: dict[str, str], port: int) -> None:
    assert settings.read(GOOD | environ)[0].port == port


def test_every_fault_is_reported_at_once_and_none_shows_a_value() -> None:
    found = faults(
        {
            "PORT": "hunter2",
            "LOGRELAY_HISTORY_MB": "hunter2",
            "LOGRELAY_LINGER_SECONDS": "hunter2",
            "LOGRELAY_ALLOWED_ORIGINS": "hunter2",
            "LOGRELAY_RAILWAY_URL": "https://user:hunter2@example.com/",
            "LOGRELAY_AUTH": "hunter2",
            "LOGRELAY_LOG_LEVEL": "hunter2",
            "LOGRELAY_BASE_PATH": "hunter2",
            "LOGRELAY_CA_FILE": "/nowhere/hunter2",
        }
    )

    assert len(found) == 11
    assert all("hunter2" not in fault for fault in found)
    for name in (
        "PORT",
        "LOGRELAY_HISTORY_MB",
        "LOGRELAY_AUTH",
        "RAILWAY_API_TOKEN",
        "LOGRELAY_ENVIRONMENTS",
    ):
        assert sum(name in fault for fault in found) == 1, name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOGRELAY_MAX_CONNECTIONS", "0"),
        ("LOGRELAY_MAX_CONNECTIONS", "1.5"),
        ("LOGRELAY_MAX_CONNECTIONS", "-1"),
        ("LOGRELAY_HEARTBEAT_SECONDS", "nan"),
        ("LOGRELAY_HEARTBEAT_SECONDS", "inf"),
        ("LOGRELAY_REREAD_SECONDS", "-1"),
        ("LOGRELAY_REREAD_WINDOW_SECONDS", "0"),
        ("LOGRELAY_MAX_UPSTREAM_MB", "0"),
        ("LOGRELAY_ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("LOGRELAY_ALLOWED_ORIGINS", "app.example.com"),
        ("LOGRELAY_ALLOWED_ORIGINS", "https://app.example.com/"),
        ("LOGRELAY_ENVIRONMENTS", "one two"),
        ("LOGRELAY_ENVIRONMENTS", ","),
        ("LOGRELAY_RAILWAY_URL", "backboard.railway.com"),
        ("LOGRELAY_RAILWAY_URL", "wss://backboard.railway.com"),
        ("LOGRELAY_RAILWAY_WS_URL", "https://backboard.railway.com"),
        ("LOGRELAY_CA_FILE", __file__),
        ("RAILWAY_API_TOKEN", "two words"),
        ("RAILWAY_API_TOKEN", "umlaut-ä"),
        ("RAILWAY_API_TOKEN_FILE", "/nowhere"),
    ],
)
def test_a_bad_value_is_one_fault_that_names_its_variable(name: str, text: str) -> None:
    (fault,) = faults(GOOD | {name: text})

    assert name in fault


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("LOGRELAY_ALLOWED_ORIGINS", "https://a.example, http://b.example:8000", "allowed_origins",
         ("https://a.example", "http://b.example:8000")),
        ("LOGRELAY_ALLOWED_ORIGINS", "*", "allowed_origins", ("*",)),
        ("LOGRELAY_ENVIRONMENTS", " a-1 ,b_2,a-1", "environments", ("a-1", "b_2")),
        ("LOGRELAY_BASE_PATH", "/", "base_path", ""),
        ("LOGRELAY_BASE_PATH", "/logs/", "base_path", "/logs"),
        ("LOGRELAY_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("LOGRELAY_RAILWAY_WS_URL", "ws://127.0.0.1:1/x", "websocket_url", "ws://127.0.0.1:1/x"),
        ("LOGRELAY_RAILWAY_URL", "http://127.0.0.1:1/x", "websocket_url", "ws://127.0.0.1:1/x"),
        ("LOGRELAY_MEMORY_MB", "512", "memory_mb", 512),
    ],
)  # fmt: skip
def test_good_values_are_understood(name: str, text: str, field: str, value: object) -> None:
    assert getattr(settings.read(GOOD | {name: text})[0], field) == value


def test_a_message_has_more_time_than_the_ping_that_keeps_a_quiet_socket_alive() -> None:
    pings = {"LOGRELAY_UPSTREAM_PING_SECONDS": "40"}

    (fault,) = faults(GOOD | pings)
    assert "LOGRELAY_MESSAGE_SECONDS" in fault
    assert "LOGRELAY_UPSTREAM_PING_SECONDS" in fault
    (fault,) = faults(GOOD | {"LOGRELAY_MESSAGE_SECONDS": "19.5"})
    assert "LOGRELAY_MESSAGE_SECONDS" in fault

    configured, _ = settings.read(GOOD | pings | {"LOGRELAY_MESSAGE_SECONDS": "60.1"})
    assert configured.message_seconds == 60.1


def test_what_the_upstream_side_may_take_can_be_turned_down() -> None:
    given = {
        "LOGRELAY_REREAD_SECONDS": "0",
        "LOGRELAY_REREAD_WINDOW_SECONDS": "10",
        "LOGRELAY_MAX_UPSTREAM_MB": "8",
        "LOGRELAY_FILL_PATIENCE_SECONDS": "0",
        "LOGRELAY_NAMES_PATIENCE_SECONDS": "0.5",
        "LOGRELAY_MESSAGE_SECONDS": "30",
    }

    app = build(settings.read(GOOD | given)[0])

    gateway = app[GATEWAY]
    assert gateway._max_message_bytes == 8 * 1024 * 1024
    assert gateway._timeouts.message == 30.0
    feed = app[HUBS]._make_upstream("one")
    assert isinstance(feed, Feed)
    limits = feed._limits
    assert (limits.reread, limits.reread_window) == (0.0, 10.0)
    assert (limits.fill_patience, limits.names_patience) == (0.0, 0.5)


def test_a_project_token_needs_no_environments() -> None:
    configured, _ = settings.read({"RAILWAY_TOKEN": "p"})

    assert configured.environments is None
    assert configured.project_token == configured.token == "p"


def test_a_token_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")

    assert settings.read({"RAILWAY_TOKEN_FILE": str(path)})[0].token == "from-file"
    configured, _ = settings.read({"RAILWAY_API_TOKEN_FILE": str(path), "LOGRELAY_ENVIRONMENTS": "*"})
    assert (configured.api_token, configured.api_token_file) == ("from-file", path)


def test_an_empty_or_unreadable_token_file_is_a_fault(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")

    assert "RAILWAY_TOKEN_FILE names an empty file" in faults({"RAILWAY_TOKEN_FILE": str(empty)})[0]
    assert "RAILWAY_TOKEN_FILE must be" in faults({"RAILWAY_TOKEN_FILE": str(binary)})[0]


def test_a_token_given_twice_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file")

    assert len(faults(GOOD | {"RAILWAY_API_TOKEN_FILE": str(path)})) == 1
    assert len(faults(GOOD | {"RAILWAY_TOKEN": "p"})) == 1


def test_an_unknown_name_is_warned_about_with_the_nearest_known_one() -> None:
    _, warnings = settings.read(
        GOOD
        | {
            "LOGRELAY_HISTORY_RECORD": "1",
            "LOGRELAY_XYZ": "1",
            "LOGRELAY_URL": "for the terminal client",
            "LOGRELAY_SERVICE_HOST": "10.0.0.1",
            "LOGRELAY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        }
    )

    assert warnings == [
        "LOGRELAY_HISTORY_RECORD is not a setting of logrelay; did you mean LOGRELAY_HISTORY_RECORDS?",
        "LOGRELAY_XYZ is not a setting of logrelay",
    ]


def test_tokens_never_show_in_the_representation() -> None:
    assert "0f1e2d3c" not in repr(settings.read(GOOD)[0])


@given(st.dictionaries(st.sampled_from([field.metadata["name"] for field in settings.fields()]), st.text()))
def test_whatever_stands_there_it_is_read_or_refused_with_sentences(environ: dict[str, str]) -> None:
    try:
        settings.read(environ)
    except SettingsInvalid as error:
        assert all(error.faults)  # noqa: PT017 either outcome is fine


def test_the_readme_has_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| variable | default | meaning |\n")[2].partition("\n\n")[0]

    assert table.splitlines()[1:] == [
        f"| `{field.metadata['name']}` | {shown(field.default)} | {field.metadata['meaning']} |"
        for field in settings.fields()
    ]


def shown(default: object) -> str:
    if default in (None, (), ""):
        return "–"  # noqa: RUF001 as the table has it
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
