import os
import stat
from pathlib import Path

import pytest

from ar_client.address import Address
from ar_client.identity import CachedSession, Home, Login, home_directory, write_private
from ar_core.errors import PoolError
from ar_core.records import Role

DIGEST = "ab" * 32


def make_login(pool: str = "p") -> Login:
    return Login(
        address=Address(host="::1", port=7443), digest=DIGEST, certificate="PEM", pool=pool, web="", role=Role.WORKER,
        identity="i-1", contributor="ada", machine="m-1",
    )  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_login_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.save_login(make_login())
    assert home.login() == make_login()


def test_only_the_owner_can_read_anything(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = Home(tmp_path / "home")
        home.save_key_text(DIGEST, "key")
        home.save_login(make_login())
        home.save_session(CachedSession(identity="i-1", token="t", expires=1.0))
    finally:
        os.umask(before)
    entries = sorted(home.folder.rglob("*"))
    assert len(entries) == 4
    for path in (home.folder, *entries):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_shared_folder_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    Home(shared).save_login(make_login())
    assert mode(shared) == 0o755
    assert mode(shared / "pool.json") == 0o600


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_signing_in_elsewhere_forgets_the_session_and_keeps_the_keys(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.save_key_text(DIGEST, "first")
    home.save_login(make_login())
    home.save_session(CachedSession(identity="i-1", token="t", expires=1.0))
    home.save_key_text("cd" * 32, "second")
    home.save_login(make_login(pool="other"))
    assert home.session() is None
    assert (home.key_text(DIGEST), home.key_text("cd" * 32)) == ("first", "second")


def test_before_login(tmp_path: Path) -> None:
    with pytest.raises(PoolError) as caught:
        Home(tmp_path / "nowhere").login()
    assert (caught.value.code, caught.value.exit_code) == ("AR-I200", 3)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"address": 3}', '{"address": "a:1", "role": "king"}']
)
def test_a_damaged_file_is_no_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "pool.json").write_text(text)
    (tmp_path / "session.json").write_text(text)
    home = Home(tmp_path)
    assert home.session() is None
    with pytest.raises(PoolError) as caught:
        home.login()
    assert (caught.value.code, caught.value.exit_code) == ("AR-A106", 2)


def test_home_is_moved_by_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AR_HOME", str(tmp_path))
    assert home_directory() == tmp_path
    monkeypatch.setenv("AR_HOME", "")
    assert home_directory().name == "auto-research-pool"
