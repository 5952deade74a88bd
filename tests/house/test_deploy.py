"""The systemd unit and the container: that they start what exists, and keep what the sandbox needs."""

import configparser
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# What bubblewrap cannot work under; the unit's comments say why.
FORBIDS_ROOMS = {
    "RestrictNamespaces",
    "PrivateUsers",
    "ProtectHostname",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectProc",
    "ProcSubset",
    "ProtectControlGroups",
    "MemoryDenyWriteExecute",
}
BUILDS_ROOMS = {
    "clone",
    "unshare",
    "mount",
    "umount2",
    "pivot_root",
    "sethostname",
    "seccomp",
    "prctl",
    "execve",
}


@pytest.fixture(scope="module")
def unit(root: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((root / "deploy" / "ar-coordinator.service").read_text())
    return parser


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[tuple[str, str]]:
    """The Containerfile as (instruction, rest), continued lines joined."""
    text = (root / "deploy" / "Containerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def assert_command_exists(root: Path, command: list[str]) -> None:
    """The program is one of ours, knows the subcommand, and the subcommand knows every option."""
    program, subcommand, *rest = command
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    assert program in scripts
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), subcommand, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in rest if word.startswith("--")):
        assert re.search(rf"{option}\b", done.stdout), option


def test_the_unit_starts_a_real_command(root: Path, unit: configparser.ConfigParser) -> None:
    program, *rest = shlex.split(unit["Service"]["ExecStart"])
    assert program.startswith("/opt/ar-pool/.venv/bin/")
    assert_command_exists(root, [Path(program).name, *rest])


def test_the_unit_is_hardened(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["User"] not in ("", "root")
    for on in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "RestrictSUIDSGID",
        "LockPersonality",
        "ProtectClock",
    ):
        assert service[on] == "yes", on
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"
    assert service["StateDirectoryMode"] == "0700"


def test_the_unit_leaves_the_rooms_possible(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert FORBIDS_ROOMS & set(service) == set()
    assert "AF_NETLINK" in service["RestrictAddressFamilies"]
    assert service["SystemCallFilter"].startswith("~")
    assert not {"@mount", "@privileged", "@sandbox", "@process"} & set(
        service["SystemCallFilter"].lstrip("~").split()
    )
    assert {"memory", "pids"} <= set(service["Delegate"].split())
    assert service["OOMPolicy"] == "continue"


def test_the_unit_explains_each_thing_it_leaves_off(root: Path) -> None:
    text = (root / "deploy" / "ar-coordinator.service").read_text()
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert {name for name in FORBIDS_ROOMS if name not in comments} == set()


def test_the_state_lies_where_the_unit_may_write(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    state = f"/var/lib/{service['StateDirectory']}"
    assert service["Environment"] == f"AR_HOME={state}"
    command = shlex.split(service["ExecStart"])
    assert command[command.index("--data") + 1].startswith(f"{state}/")
    assert service["WorkingDirectory"] == state


def test_the_container_stands_on_a_named_debian(instructions: list[tuple[str, str]]) -> None:
    bases = [rest.split()[0] for name, rest in instructions if name == "FROM"]
    assert bases == ["debian:12-slim"] * 2


def final_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last:]


def test_the_container_has_what_the_sandbox_and_git_need(instructions: list[tuple[str, str]]) -> None:
    (packages,) = (rest for name, rest in final_stage(instructions) if name == "RUN" and "apt-get install" in rest)
    assert {"bubblewrap", "git", "openssh-client", "python3"} <= set(packages.split())


def test_the_container_installs_only_what_is_locked(root: Path, instructions: list[tuple[str, str]]) -> None:
    runs = [rest for name, rest in instructions if name == "RUN"]
    installs = [part for rest in runs for part in rest.split("&&") if "pip install" in part]
    assert installs
    for part in installs:
        assert "--require-hashes --requirement" in part or "--no-index --no-deps" in part, part
        for lock in re.findall(r"requirements/\S+", part):
            assert (root / lock).is_file()


def test_the_container_copies_what_exists_and_every_package(root: Path, instructions: list[tuple[str, str]]) -> None:
    sources = [
        word for name, rest in instructions if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]
    ]
    assert [word for word in sources if not (root / word).exists()] == []
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {package.partition("/")[0] for package in wheel["packages"]} <= set(sources)


def test_the_container_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    users = [rest for name, rest in final_stage(instructions) if name == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")


def test_the_container_serves_on_the_ports_it_shows(root: Path, instructions: list[tuple[str, str]]) -> None:
    stage = dict(final_stage(instructions))
    command = [*json.loads(stage["ENTRYPOINT"]), *json.loads(stage["CMD"])]
    ports = {word.rpartition(":")[2] for word in command if word.startswith("0.0.0.0:")}
    assert ports == set(stage["EXPOSE"].split()) == {"7443", "7480"}
    assert_command_exists(root, command)


def test_the_container_says_which_options_the_rooms_need(root: Path) -> None:
    text = (root / "deploy" / "Containerfile").read_text()
    assert "seccomp=deploy/container-seccomp.json" in text
    assert "unmask=ALL" in text
    assert "systempaths=unconfined" in text


def test_the_container_profile_refuses_the_kernel_and_allows_the_rooms(root: Path) -> None:
    profile = json.loads((root / "deploy" / "container-seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    (refused,) = profile["syscalls"]
    assert refused["action"] == "SCMP_ACT_ERRNO"
    assert {"init_module", "kexec_load", "bpf", "ptrace", "io_uring_setup", "reboot"} <= set(refused["names"])
    assert BUILDS_ROOMS & set(refused["names"]) == set()
