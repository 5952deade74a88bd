"""The pool's keys: made with the pool, never again; what is lost or damaged is said, by its name."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from ar_coordinator.certificate import make_certificate, read_certificate
from ar_coordinator.commands.init import initialise
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.pool_keys import make_pool_key, read_pool_identity
from ar_coordinator.seeds import make_seed_key, read_seed_key
from ar_core.errors import PoolError
from ar_core.tokens import CERTIFICATE_NAME

NOW = datetime(2026, 3, 4, tzinfo=UTC)
READERS: dict[str, Callable[[Path], object]] = {
    "pool.key": lambda keys: read_pool_identity(keys, "Pool"),
    "seed.key": read_seed_key,
    "tls.key": read_certificate,
    "tls.crt": read_certificate,
}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    directory = DataDirectory(tmp_path / "pool")
    initialise(directory, "Pool")
    return directory.keys


def make_all(keys: Path) -> None:
    make_pool_key(keys)
    make_seed_key(keys)
    make_certificate(keys, NOW)


def test_they_are_made_once_and_stay(keys: Path) -> None:
    assert {path.name for path in keys.iterdir()} == set(READERS)
    before = {name: read(keys) for name, read in READERS.items()}
    make_all(keys)
    assert {name: read(keys) for name, read in READERS.items()} == before
    assert len(read_seed_key(keys)) == 32
    for name in ("pool.key", "seed.key", "tls.key"):
        assert (keys / name).stat().st_mode & 0o777 == 0o600


def test_the_certificate_has_the_fixed_name(tmp_path: Path) -> None:
    make_certificate(tmp_path, NOW)
    found = read_certificate(tmp_path)
    certificate = x509.load_pem_x509_certificate(found.pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [CERTIFICATE_NAME]
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert re.fullmatch("[0-9a-f]{64}", found.digest)


def test_a_start_that_was_cut_short_between_the_two_makes_both_again(tmp_path: Path) -> None:
    make_certificate(tmp_path, NOW)
    before = read_certificate(tmp_path)
    (tmp_path / "tls.crt").unlink()
    make_certificate(tmp_path, NOW)
    assert read_certificate(tmp_path).digest != before.digest


@pytest.mark.parametrize("name", READERS)
def test_a_lost_key_is_said_and_not_made_again(keys: Path, name: str) -> None:
    (keys / name).unlink()
    with pytest.raises(PoolError, match=f"{re.escape(str(keys / name))} is gone") as caught:
        READERS[name](keys)
    assert caught.value.code == "AR-C607"
    assert "backup" in caught.value.hint
    assert not (keys / name).exists()


@pytest.mark.parametrize("data", [b"", b"garbage", b"\xff\xfe\x00", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_key_is_said(keys: Path, name: str, data: bytes) -> None:
    (keys / name).write_bytes(data)
    with pytest.raises(PoolError, match=f"{re.escape(str(keys / name))} is damaged") as caught:
        READERS[name](keys)
    assert caught.value.code == "AR-C607"
    assert (keys / name).read_bytes() == data


def test_a_key_of_another_certificate_is_said(keys: Path, tmp_path: Path) -> None:
    make_certificate(tmp_path, NOW)
    (keys / "tls.key").write_bytes((tmp_path / "tls.key").read_bytes())
    with pytest.raises(PoolError, match="not the key of the certificate"):
        read_certificate(keys)
    (keys / "pool.key").write_bytes((keys / "tls.key").read_bytes())
    with pytest.raises(PoolError, match="not an ed25519 key"):
        read_pool_identity(keys, "Pool")


def test_a_key_that_cannot_be_read_is_said(keys: Path) -> None:
    (keys / "seed.key").unlink()
    (keys / "seed.key").mkdir()
    with pytest.raises(PoolError, match=r"seed\.key: Is a directory") as caught:
        read_seed_key(keys)
    assert caught.value.code == "AR-C607"


def test_the_keys_come_before_what_makes_a_directory_a_pools(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "pool")
    in_the_way = directory.keys / "tls.crt"
    (in_the_way / "something").mkdir(parents=True)
    with pytest.raises(PoolError) as caught:
        initialise(directory, "Pool")
    assert caught.value.code == "AR-C607"
    assert not directory.initialised
    os.removedirs(in_the_way / "something")
    initialise(directory, "Pool")
    for read in READERS.values():
        read(directory.keys)
