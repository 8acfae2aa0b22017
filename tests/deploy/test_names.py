"""What deploy/ calls things: settings that exist, and no place that a newcomer could not reach."""

import re
from pathlib import Path

from logrelay import settings

SETTINGS = {field.metadata["name"] for field in settings.fields()}


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
