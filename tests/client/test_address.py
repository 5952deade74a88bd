import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_client.address import Address, parse_address
from ar_core.errors import PoolError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("pool.example.org:7443", "pool.example.org", 7443),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:7443", "::1", 7443),
        ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
        (" localhost:80\n", "localhost", 80),
    ],
)
def test_reads_hosts_and_ports(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host=host, port=port)


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":7443", "host:0", "host:65536", "host:-1", "host:7443x", "::1:7443", "[::1]", "[host]:1",
     "https://host:7443", "host:7443/", "a b:1", "-x:1", "host:٣", "host:1\nhost:2"],
)  # fmt: skip
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises(PoolError) as caught:
        parse_address(text)
    assert caught.value.code == "AR-A107"
    assert caught.value.exit_code == 2


@given(st.integers(1, 65535), st.ip_addresses())
def test_shows_what_it_reads(port: int, ip: object) -> None:
    address = Address(host=str(ip), port=port)
    assert parse_address(str(address)) == address


@given(st.text())
def test_never_fails_otherwise(text: str) -> None:
    with contextlib.suppress(PoolError):
        assert str(parse_address(text)) == text.strip()
