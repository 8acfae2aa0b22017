"""The client's own tests, which run in Node, and the promises that its folder makes: types, bytes, package."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from client_scene import HERE, ROOT, VIEWER, node

import logrelay

TABLE = json.loads((VIEWER / "client" / "conformance.json").read_text(encoding="utf-8"))
STEPS = [step for case in TABLE["cases"] for step in case["steps"]]
MESSAGES = ("Log", "Logs", "Status", "Heartbeat", "Error", "Pong", "HistoryPage")  # of the relay's
MODULES = sorted(str(path) for path in HERE.rglob("*") if path.suffix in {".mjs", ".ts", ".tsx"})
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


def schemas() -> dict[str, Any]:
    """The relay's own document."""
    document: dict[str, Any] = yaml.safe_load(
        (ROOT / "logrelay" / "web" / "asyncapi.yaml").read_text(encoding="utf-8")
    )
    return document


def received() -> list[dict[str, Any]]:
    """All messages that come in the table, as they stand there, but for those that are broken on purpose."""
    came = [step["receives"] for step in STEPS if "receives" in step]
    named = [message if isinstance(message, str) else message.get("like") for message in came]
    like = [TABLE["messages"][name] for name in named if name is not None]
    return [*like, *(message for message in came if isinstance(message, dict))]


def test_every_message_of_the_table_is_one_of_the_protocol() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = schemas()
    valid = {
        name: jsonschema.Draft202012Validator(document | {"$ref": f"#/components/messages/{name}/payload"})
        for name in ("log", "status", "heartbeat", "filter", "pause", "resume", "auth", "history", "cancel")
    }

    for record in TABLE["records"].values():
        valid["log"].validate({"type": "log", "data": record})
    for message in TABLE["messages"].values():
        valid[message["type"]].validate(message)
    ids = {name: record["id"] for name, record in TABLE["records"].items()}
    for sent in (sent for step in STEPS for sent in step.get("sends", [])):
        named = sent | ({"before": ids.get(sent["before"], sent["before"])} if "before" in sent else {})
        valid[sent["type"]].validate(named)


def test_the_table_has_a_case_for_each_close_code() -> None:
    closes = {step["closes"] for step in STEPS if "closes" in step}

    assert closes >= {1000, 1001, 1003, 1006, 1007, 1008, 1009, 1011, 1012}
    assert closes >= {4400, 4401, 4403, 4404, 4408, 4429, 4502}
    assert len(TABLE["cases"]) >= 40


def test_the_table_has_a_case_for_whatever_the_relay_may_say() -> None:
    known = schemas()["components"]["schemas"]
    came = received()
    outcomes = [message.get("data", {}) for message in came if isinstance(message.get("data"), dict)]
    resumes = [data["resume"] for data in outcomes if data.get("resume")]
    errors = {"message_invalid"}  # the client sends nothing that isn't valid
    partial = known["Resume"]["oneOf"][2]["properties"]["reason"]["enum"]

    types = {known[name]["properties"]["type"]["const"] for name in MESSAGES}
    assert types - {message.get("type") for message in came} == {"pong"}  # it never sends a `ping`
    statuses = {message["message"] for message in came if message.get("type") == "status"}
    assert set(known["Status"]["properties"]["message"]["enum"]) <= statuses
    assert set(known["Error"]["properties"]["code"]["enum"]) - errors <= {
        message["code"] for message in came if message.get("type") == "error"
    }
    assert {"exact", "backfilled", "none", "partial"} == {resume["outcome"] for resume in resumes}
    assert set(partial) <= {resume.get("reason") for resume in resumes}


def test_the_table_has_a_case_for_each_message_of_the_viewers() -> None:
    commands = {
        schema["properties"]["type"]["const"]
        for name, schema in schemas()["components"]["schemas"].items()
        if name.endswith("Command")
    }

    assert commands - {sent["type"] for step in STEPS for sent in step.get("sends", [])} == {"ping"}


@pytest.mark.big
def test_the_sources_are_typed_and_formatted() -> None:
    node("typescript", "prettier")

    run("node_modules/.bin/tsc", "-p", ".")
    run("node_modules/.bin/prettier", "--config", "package.json", "--check", "client", "build.mjs", *MODULES)


@pytest.mark.big
def test_what_is_shipped_is_what_a_fresh_build_gives() -> None:
    run(node("esbuild", "typescript"), "build.mjs", "--check")


def packed(folder: Path) -> Path:
    """The package, as npm makes it."""
    node()
    npm = shutil.which("npm")
    assert npm is not None
    run(npm, "pack", "--ignore-scripts", "--pack-destination", str(folder))
    (package,) = folder.glob("*.tgz")
    return package


def test_the_package_holds_the_client_alone(tmp_path: Path) -> None:
    package = packed(tmp_path)

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


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A folder in which the package is installed, and what else its programs import."""
    node("typescript", "ws", "react", "@types")
    (tmp_path / "packed").mkdir()
    package = packed(tmp_path / "packed")
    modules = tmp_path / "node_modules"
    modules.mkdir()
    with tarfile.open(package) as archive:
        archive.extractall(modules, filter="data")
    (modules / "package").rename(modules / "logrelay-client")
    for name in ("ws", "@types", "csstype", "undici-types", "react"):
        (modules / name).symlink_to(VIEWER / "node_modules" / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


@pytest.mark.big
@pytest.mark.parametrize(
    ("resolution", "module", "library", "types"),
    [("node16", "node16", ["es2022"], ["node"]), ("bundler", "esnext", ["es2022", "dom"], [])],
)
def test_the_packages_types_fit_strict_programs(
    consumer: Path, resolution: str, module: str, library: list[str], types: list[str]
) -> None:
    settings = {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "module": module,
        "moduleResolution": resolution,
        "target": "es2022",
        "lib": library,
        "types": types,
        "noEmit": True,
        "jsx": "react-jsx",
    }
    programs = ["node.ts"] if "node" in types else ["browser.ts", "hook.tsx"]
    for program in programs:
        shutil.copy(HERE / "consumers" / program, consumer / program)
    (consumer / "tsconfig.json").write_text(json.dumps({"compilerOptions": settings, "files": programs}))

    run(str(VIEWER / "node_modules" / ".bin" / "tsc"), "-p", str(consumer))


@pytest.mark.big
def test_the_package_runs_where_it_is_installed(consumer: Path) -> None:
    program = (
        'import { LogStream } from "logrelay-client"; import { useLogStream } from "logrelay-client/react";'
        "console.log(typeof LogStream, typeof useLogStream);"
    )

    said = run(node(), "--input-type=module", "--eval", program, folder=consumer)

    assert said == "function function\n"


def test_the_client_needs_nothing_at_run_time() -> None:
    package = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))
    bundle = (VIEWER / "dist" / "client" / "logrelay-client.js").read_text(encoding="utf-8")

    assert "dependencies" not in package
    assert not [line for line in bundle.splitlines() if line.startswith("import ")]


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (VIEWER / "package-lock.json").read_text(encoding="utf-8")
