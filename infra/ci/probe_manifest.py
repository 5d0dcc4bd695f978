"""Copies aws-probe, and gives it our versions, features and profiles of the crates that it shares with us, so
that none is compiled again. What it asks for alone keeps the version of its own lock file; what those crates ask
for in turn, and we do not have, is resolved anew."""

import json
import pathlib
import shutil
import sys
import tomllib

source, target = map(pathlib.Path, sys.argv[1:])
ours = tomllib.loads(pathlib.Path("Cargo.toml").read_text(encoding="utf-8"))
probe = tomllib.loads((source / "Cargo.toml").read_text(encoding="utf-8"))
locked = tomllib.loads((source / "Cargo.lock").read_text(encoding="utf-8"))["package"]
shared = ours["workspace"]["dependencies"]
# All that we name, whether it uses it or not: so is each of them asked for the same features as with us.
dependencies = {name: of for name, of in shared.items() if "path" not in of}
dependencies["workspace-hack"] = {"path": str(pathlib.Path("infra/workspace-hack").resolve())}
for name, wanted in probe["dependencies"].items():
    wanted = wanted if isinstance(wanted, dict) else {"version": wanted}
    if name in shared:
        continue
    # Of several versions in its lock file the one that it asks for.
    versions = [one["version"] for one in locked if one["name"] == name]
    version = next(version for version in versions if f"{version}.".startswith(wanted["version"] + "."))
    in_ours = f'name = "{name}"' in pathlib.Path("Cargo.lock").read_text(encoding="utf-8")
    dependencies[name] = wanted if in_ours and name.startswith("aws-") else {**wanted, "version": f"={version}"}


def value(of):
    if isinstance(of, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {value(inner)}" for key, inner in of.items()) + " }"
    return json.dumps(of)


def table(name, of):
    plain = {key: inner for key, inner in of.items() if not isinstance(inner, dict)}
    yield f"[{name}]"
    yield from (f"{json.dumps(key)} = {value(inner)}" for key, inner in plain.items())
    for key, inner in of.items():
        if key not in plain:
            yield from table(f"{name}.{json.dumps(key)}", inner)


shutil.rmtree(target, ignore_errors=True)
# Without the modes: the original may be read-only, and a later run replaces the copy.
shutil.copytree(source / "src", target / "src", copy_function=shutil.copyfile)
for folder in [target / "src", *(target / "src").rglob("*")]:
    if folder.is_dir():
        folder.chmod(0o755)
lines = [*table("package", probe["package"]), "[dependencies]"]
lines += [f"{json.dumps(name)} = {value(of)}" for name, of in dependencies.items()]
lines += ["[workspace]", *table("profile.dev", ours["profile"]["dev"])]
(target / "Cargo.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
shutil.copy("Cargo.lock", target / "Cargo.lock")
