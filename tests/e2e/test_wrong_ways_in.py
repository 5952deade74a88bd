"""Every wrong way into a pool, as a person meets it: one sentence, what to do next, a code, an exit code."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from ar_core.errors import CATALOGUE
from ar_core.tokens import JoinToken, parse_token

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "0")


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture
def ar_pool(told: Command, tmp_path: Path) -> Command:
    """Run `ar-pool … --json` on a machine that has not signed in anywhere."""
    return lambda *arguments: told("ar_client", *arguments, "--json", home=tmp_path / "home")


@pytest.fixture
def operator(pool: Any, told: Command) -> Command:
    """Run `ar-coordinator … --json` beside the pool."""
    return lambda *arguments: told("ar_coordinator", *arguments, "--data", str(pool.directory), "--json")


@pytest.fixture
def new_token(operator: Command) -> Callable[..., str]:
    """Make a token."""

    def make(role: str = "publisher") -> str:
        done = operator("tokens", "new", "--role", role)
        assert done.code == 0, done
        return str(done.document["token"])

    return make


def refused(done: Any, exit_code: int, code: str) -> dict[str, str]:
    """Check the form of a failure and return its document."""
    assert done.code == exit_code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    error = done.error
    assert set(error) >= {"code", "message", "hint", "docs"}
    assert error["code"] == code
    assert CATALOGUE[code].exit == exit_code
    assert error["message"].startswith(CATALOGUE[code].sentence[:-1])
    assert error["hint"]
    assert error["docs"].endswith(f"#{code.lower()}")
    return dict(error)


@pytest.mark.parametrize(
    "arguments",
    [["whoami"], ["problems"], ["show", "a-problem"], ["log", "a-problem"], ["watch"], ["pause", "a-problem"]],
    ids=lambda arguments: str(arguments[0]),
)
def test_before_signing_in(ar_pool: Command, arguments: list[str]) -> None:
    assert "ar-pool login" in refused(ar_pool(*arguments), 3, "AR-I200")["hint"]


def test_before_signing_in_with_files(ar_pool: Command, problems: Path) -> None:
    refused(ar_pool("publish", str(problems / "bin-packing")), 3, "AR-I200")
    refused(
        ar_pool("propose", "bin-packing", "--file", str(problems / "bin-packing" / "priority.json")), 3, "AR-I200"
    )


@pytest.mark.parametrize("token", ["", "hello", "ARJ1-abc-def", "ARJ2-" + "0" * 64 + "-" + "0" * 32])
def test_a_malformed_token(pool: Any, ar_pool: Command, token: str) -> None:
    refused(ar_pool("login", pool.grpc, "--token", token), 4, "AR-I202")


def test_an_unknown_token(pool: Any, ar_pool: Command, new_token: Callable[..., str]) -> None:
    real = parse_token(new_token())
    token = JoinToken(digest=real.digest, secret="0" * 32)
    refused(ar_pool("login", pool.grpc, "--token", str(token)), 4, "AR-I203")


def test_a_token_that_is_used_up(
    pool: Any, ar_pool: Command, told: Command, tmp_path: Path, new_token: Callable[..., str]
) -> None:
    token = new_token()
    first = ["login", pool.grpc, "--token", token, "--json"]
    assert told("ar_client", *first, home=tmp_path / "first").code == 0
    refused(ar_pool("login", pool.grpc, "--token", token), 4, "AR-I204")
    # For the machine that used it, the same again is the same identity.
    again = told("ar_client", *first, home=tmp_path / "first")
    assert again.code == 0, again


def test_a_token_that_expired(pool: Any, ar_pool: Command, until: Callable[..., Any], operator: Command) -> None:
    document = operator("tokens", "new", "--role", "publisher", "--expires", "1s").document
    until(lambda: datetime.now(UTC) > datetime.fromisoformat(document["expires"]))
    refused(ar_pool("login", pool.grpc, "--token", document["token"]), 4, "AR-I205")


def test_a_token_that_was_revoked(pool: Any, ar_pool: Command, operator: Command) -> None:
    document = operator("tokens", "new", "--role", "publisher").document
    listed = operator("tokens", "list").document["tokens"]
    assert document["id"] in [token["id"] for token in listed]
    assert document["token"] not in str(listed)
    assert operator("tokens", "revoke", document["id"]).code == 0
    refused(ar_pool("login", pool.grpc, "--token", document["token"]), 4, "AR-I203")
    refused(operator("tokens", "revoke", "t-00000000"), 3, "AR-A108")


def test_a_token_of_another_role(pool: Any, ar_pool: Command, problems: Path, new_token: Callable[..., str]) -> None:
    token = new_token("worker")
    assert "--contributor" in refused(ar_pool("login", pool.grpc, "--token", token), 4, "AR-I206")["hint"]
    assert ar_pool("login", pool.grpc, "--token", token, "--contributor").code == 0
    assert ar_pool("whoami").document["role"] == "worker"
    refused(ar_pool("publish", str(problems / "bin-packing")), 4, "AR-I206")
    refused(ar_pool("pause", "a-problem"), 4, "AR-I206")


def test_a_token_of_another_role_is_not_spent(
    pool: Any, ar_pool: Command, told: Command, tmp_path: Path, new_token: Callable[..., str]
) -> None:
    token = new_token()
    machine = told("ar_worker", "join", pool.grpc, "--token", token, "--json", home=tmp_path / "machine")
    assert "ar-pool login" in refused(machine, 4, "AR-I206")["hint"]
    refused(ar_pool("login", pool.grpc, "--token", token, "--contributor"), 4, "AR-I206")
    assert ar_pool("login", pool.grpc, "--token", token).code == 0
    assert ar_pool("whoami").document["role"] == "publisher"


def test_a_certificate_that_is_not_the_pinned_one(pool: Any, ar_pool: Command, new_token: Callable[..., str]) -> None:
    real = parse_token(new_token())
    other = JoinToken(digest="0" * 64, secret=real.secret)
    refused(ar_pool("login", pool.grpc, "--token", str(other)), 4, "AR-I207")
    # Nothing was sent: the token is as good as new.
    assert ar_pool("login", pool.grpc, "--token", str(real)).code == 0


def test_no_pool_at_the_address(pool: Any, ar_pool: Command, new_token: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    refused(ar_pool("login", address, "--token", new_token()), 8, "AR-A102")
    refused(ar_pool("login", pool.web.removeprefix("http://"), "--token", new_token()), 8, "AR-A102")


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:1", ":7443"])
def test_an_address_that_is_none(ar_pool: Command, address: str) -> None:
    refused(ar_pool("login", address, "--token", f"ARJ1-{'0' * 64}-{'0' * 32}"), 2, "AR-A107")


def test_a_name_that_is_taken(pool: Any, ada: Any, ar_pool: Command, new_token: Callable[..., str]) -> None:
    token = new_token()
    error = refused(ar_pool("login", pool.grpc, "--token", token, "--name", "ADA"), 2, "AR-I208")
    free = error["hint"].rpartition("for example ")[2].rstrip(".")
    done = ar_pool("login", pool.grpc, "--token", token, "--name", free)
    assert done.code == 0, done
    assert done.document["contributor"] == free != "ada"
    refused(ar_pool("login", pool.grpc, "--token", new_token(), "--name", "no name at all"), 2, "AR-I210")


def test_a_banned_identity(pool: Any, ar_pool: Command, new_token: Callable[..., str], operator: Command) -> None:
    machine = ar_pool("login", pool.grpc, "--token", new_token(), "--name", "eve").document["machine"]
    assert ar_pool("problems").code == 0
    assert operator("workers", "ban", machine, "--reason", "flooding").document["banned"] == "flooding"
    assert "flooding" in refused(ar_pool("problems"), 5, "AR-I209")["message"]
    listed = {w["machine"]: w["banned"] for w in operator("workers", "list").document["workers"]}
    assert listed[machine] == "flooding"
    assert operator("workers", "unban", machine).document["banned"] is None
    refused(operator("workers", "ban", "m-nobody"), 3, "AR-A109")
    assert ar_pool("problems").code == 0


@pytest.mark.parametrize(
    ("role", "command"),
    [("worker", "ar-worker join"), ("publisher", "ar-pool login"), ("operator", "ar-pool login"),
     ("verifier", "ar-coordinator verify --coordinator")],
)  # fmt: skip
def test_a_new_token_comes_with_the_line_to_run_there(pool: Any, told: Command, role: str, command: str) -> None:
    done = told("ar_coordinator", "tokens", "new", "--role", role, "--data", str(pool.directory))
    assert done.code == 0, done
    assert done.err.splitlines()[-1].strip() == f"{command} {pool.grpc} --token {done.out.strip()}"


@pytest.mark.parametrize("method", ["Join", "Propose", "Publish", "Work", "Watch"])
def test_a_message_that_is_none(
    pool: Any, raw_call: Callable[..., tuple[Any, str]], operator_session: Callable[..., str], method: str
) -> None:
    before = pool.log.read_text().count("a message cannot be read")
    assert raw_call(pool, method, b"\xff garbage", operator_session(pool)) == (
        grpc.StatusCode.INVALID_ARGUMENT, "AR-A101",
    )  # fmt: skip
    log = pool.log.read_text()
    assert log.count("a message cannot be read") == before + 1
    assert "Traceback" not in log


def test_health_is_answered_whatever_is_asked(pool: Any, raw_call: Callable[..., tuple[Any, str]]) -> None:
    assert raw_call(pool, "/grpc.health.v1.Health/Check", b"\xff garbage", "") == (grpc.StatusCode.OK, "")
    assert "Traceback" not in pool.log.read_text()


def test_a_problem_that_is_not_there(ada: Any, tmp_path: Path) -> None:
    refused(ada.pool("show", "nothing-here", "--json"), 3, "AR-P300")
    refused(ada.pool("publish", str(tmp_path), "--json"), 2, "AR-P302")


# --- Starting a pool


@pytest.fixture
def serve(command: Callable[..., Any]) -> Command:
    """Run `ar-coordinator serve --json` where it cannot start."""

    def run(directory: Path, *options: str) -> Any:
        given = {"--grpc": "127.0.0.1:0", "--web": "127.0.0.1:0", "--verifiers": "0"}
        given.update(zip(options[::2], options[1::2], strict=True))
        flat = [part for pair in given.items() for part in pair]
        return command("ar_coordinator", "serve", "--data", str(directory), "--json", *flat, seconds=60)

    return run


def test_the_operators_commands_without_a_pool(told: Command, tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert told("ar_coordinator", "init", str(made)).code == 0
    for directory in (tmp_path / "missing", made):
        for words in (["tokens", "new"], ["tokens", "list"], ["problems", "list"], ["workers", "list"]):
            refused(told("ar_coordinator", *words, "--data", str(directory), "--json"), 8, "AR-C604")
    assert not (tmp_path / "missing").exists()


def test_a_second_pool_in_the_same_directory(pool: Any, serve: Command, operator: Command) -> None:
    refused(serve(pool.directory), 2, "AR-C600")
    assert operator("tokens", "list").code == 0


def test_an_address_that_is_in_use(pool: Any, serve: Command, tmp_path: Path) -> None:
    web = pool.web.removeprefix("http://")
    assert pool.grpc in refused(serve(tmp_path / "a", "--grpc", pool.grpc), 2, "AR-C602")["message"]
    assert web in refused(serve(tmp_path / "b", "--web", web), 2, "AR-C602")["message"]


def test_a_directory_of_another_version(serve: Command, tmp_path: Path) -> None:
    (tmp_path / "pool.json").write_text('{"schema": 99, "name": "later"}')
    refused(serve(tmp_path), 2, "AR-C601")
    (tmp_path / "pool.json").write_text("{")
    refused(serve(tmp_path), 2, "AR-C607")
    assert [path.name for path in tmp_path.iterdir()] == ["pool.json"]


def test_a_directory_of_somebody_else(serve: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    assert "thesis.txt" in refused(serve(tmp_path), 2, "AR-C607")["message"]
    refused(serve(tmp_path / "thesis.txt"), 2, "AR-C607")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("option", ["--grpc", "--web"])
@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:70000"])
def test_listening_on_no_address(serve: Command, tmp_path: Path, option: str, address: str) -> None:
    refused(serve(tmp_path / "data", option, address), 2, "AR-A107")
    assert not (tmp_path / "data").exists()


def test_pages_for_everybody_need_tls(serve: Command, tmp_path: Path) -> None:
    assert "--web-tls" in refused(serve(tmp_path / "data", "--web", "0.0.0.0:0"), 2, "AR-C608")["hint"]
    assert not (tmp_path / "data").exists()


def test_a_machine_without_a_sandbox(serve: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install -y bubblewrap" in refused(serve(tmp_path / "data", "--verifiers", "1"), 7, "AR-S500")["hint"]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [["serve", "--verifiers", "many"], ["tokens", "new", "--role", "king"], ["dance"]])
def test_words_that_are_no_command(told: Command, words: list[str]) -> None:
    refused(told("ar_coordinator", *words, "--json"), 2, "AR-A101")


def test_without_json_it_is_one_sentence_and_what_to_do(pool: Any, command: Command, tmp_path: Path) -> None:
    done = command("ar_client", "problems", home=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert "AR-I200" in done.err
    assert "ar-pool login" in done.err
    assert len(done.err.strip().splitlines()) <= 4
    done = command("ar_coordinator", "tokens", "list", "--data", str(tmp_path / "none"))
    assert (done.code, done.out) == (8, "")
    assert "AR-C604" in done.err
    assert "Traceback" not in pool.log.read_text()
