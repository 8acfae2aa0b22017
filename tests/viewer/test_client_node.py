"""The client's own tests, which run in Node, and the promises that its folder makes: types, bytes, package."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from client_scene import HERE, ROOT, VIEWER, node

import logrelay

TABLE = json.loads((VIEWER / "client" / "conformance.json").read_text(encoding="utf-8"))
SECONDS = 50


def run(*command: str, folder: Path = VIEWER) -> str:
    """Run a program to its end; what it wrote. Fails with that when it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "package"), [("conformance", ""), ("delivery", ""), ("react", "react-test-renderer")]
)
def test_the_clients_tests_pass_in_node(name: str, package: str) -> None:
    program = node(*filter(None, [package]))

    written = run(program, "--test", "--test-reporter=tap", str(HERE / f"client_{name}.test.mjs"))

    assert "\n# fail 0\n" in written
    assert "\n# pass 0\n" not in written


def test_the_types_agree_with_the_relays_schemas() -> None:
    run(node("json-schema-to-typescript", "yaml", "prettier"), "client/generate.mjs", "--check")


def test_every_message_of_the_table_is_one_of_the_protocol() -> None:
    schemas = pytest.importorskip("jsonschema")
    document = yaml.safe_load((ROOT / "logrelay" / "web" / "asyncapi.yaml").read_text(encoding="utf-8"))
    valid = {
        name: schemas.Draft202012Validator(document | {"$ref": f"#/components/messages/{name}/payload"})
        for name in ("log", "status", "heartbeat", "filter", "pause", "resume", "auth", "history", "cancel")
    }

    for record in TABLE["records"].values():
        valid["log"].validate({"type": "log", "data": record})
    for message in TABLE["messages"].values():
        valid[message["type"]].validate(message)
    ids = {name: record["id"] for name, record in TABLE["records"].items()}
    for step in (step for case in TABLE["cases"] for step in case["steps"]):
        for sent in step.get("sends", []):
            named = sent | ({"before": ids.get(sent["before"], sent["before"])} if "before" in sent else {})
            valid[sent["type"]].validate(named)


def test_the_table_has_a_case_for_each_close_code() -> None:
    closes = {step["closes"] for case in TABLE["cases"] for step in case["steps"] if "closes" in step}

    assert closes >= {1000, 1001, 1003, 1006, 1007, 1008, 1009, 1011, 1012}
    assert closes >= {4400, 4401, 4403, 4404, 4408, 4429, 4502}
    assert len(TABLE["cases"]) >= 40


def test_the_sources_are_typed_and_formatted() -> None:
    node("typescript", "prettier")

    run("node_modules/.bin/tsc", "-p", ".")
    run("node_modules/.bin/prettier", "--check", "client", "build.mjs")


def test_what_is_shipped_is_what_a_fresh_build_gives() -> None:
    run(node("esbuild", "typescript"), "build.mjs", "--check")


def test_the_package_holds_the_client_alone(tmp_path: Path) -> None:
    node()
    npm = shutil.which("npm")
    assert npm is not None

    run(npm, "pack", "--ignore-scripts", "--pack-destination", str(tmp_path))

    (package,) = tmp_path.iterdir()
    assert package.name == f"logrelay-client-{logrelay.__version__}.tgz"
    with tarfile.open(package) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    assert names >= {
        "package.json",
        "README.md",
        "LICENSE",
        "dist/client/logrelay-client.js",
        "dist/client/index.d.ts",
    }
    assert {name.split("/")[0] for name in names} == {"package.json", "README.md", "LICENSE", "dist"}
    assert {name.split("/")[1] for name in names if name.startswith("dist/")} == {"client"}


def test_the_client_needs_nothing_at_run_time() -> None:
    package = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))
    bundle = (VIEWER / "dist" / "client" / "logrelay-client.js").read_text(encoding="utf-8")

    assert "dependencies" not in package
    assert not [line for line in bundle.splitlines() if line.startswith("import ")]


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (VIEWER / "package-lock.json").read_text(encoding="utf-8")
