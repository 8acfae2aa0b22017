"""What deploy/ calls things: settings that exist, and no place that a newcomer could not reach."""

import re
from pathlib import Path

SETTINGS = {
    "LOGRELAY_ALLOWED_ORIGINS",
    "LOGRELAY_AUTH",
    "LOGRELAY_BASE_PATH",
    "LOGRELAY_ENVIRONMENTS",
    "LOGRELAY_HEARTBEAT_SECONDS",
    "LOGRELAY_HISTORY_MB",
    "LOGRELAY_HISTORY_RECORDS",
    "LOGRELAY_HISTORY_SECONDS",
    "LOGRELAY_HOST",
    "LOGRELAY_LINGER_SECONDS",
    "LOGRELAY_LOG_LEVEL",
    "LOGRELAY_MAX_CONNECTIONS",
    "LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT",
    "LOGRELAY_MEMORY_MB",
    "LOGRELAY_OVERLAP_SECONDS",
    "LOGRELAY_PORT",
    "LOGRELAY_RAILWAY_URL",
    "LOGRELAY_RAILWAY_WS_URL",
    "RAILWAY_API_TOKEN",
    "RAILWAY_API_TOKEN_FILE",
    "RAILWAY_TOKEN",
    "RAILWAY_TOKEN_FILE",
}


def texts(deploy: Path) -> dict[str, str]:
    files = (p for p in deploy.rglob("*") if p.is_file() and not {"secrets", "__pycache__"} & {*p.parts})
    return {str(p.relative_to(deploy)): p.read_text(encoding="utf-8") for p in files}


def test_every_setting_named_is_a_setting(deploy: Path) -> None:
    named = {
        (f, name)
        for f, text in texts(deploy).items()
        for name in re.findall(r"\b(?:LOGRELAY|RAILWAY)_\w+", text)
    }

    assert named
    assert {(f, name) for f, name in named if name not in SETTINGS} == set()


def test_no_file_names_a_package_or_image_registry(deploy: Path) -> None:
    registry = re.compile(
        r"pypi|pythonhosted|docker\.io|ghcr|quay\.io|npmjs|index-url|find-links", re.IGNORECASE
    )

    assert [f for f, text in texts(deploy).items() if registry.search(text)] == []
