"""Keys and signatures, checked against OpenSSH itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.signing import (
    KeyFormatError,
    PrivateKey,
    PublicKey,
    allowed_signers_line,
    fingerprint,
    private_key_from_text,
    private_key_to_text,
    public_key_from_line,
    public_key_line,
    sign,
    ssh_signature,
    verify,
    verify_ssh_signature,
)

keys = st.binary(min_size=32, max_size=32).map(lambda raw: PrivateKey(raw=raw))
domains = st.from_regex(r"[a-z0-9][a-z0-9./-]{0,20}", fullmatch=True)
KEY = PrivateKey(raw=bytes(range(32)))


def ssh_keygen(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)


def test_rfc_8032_first_vector() -> None:
    raw = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert PrivateKey(raw=raw).public.raw.hex() == expected


@given(keys, domains, st.binary(max_size=200))
def test_a_signature_verifies(key: PrivateKey, domain: str, payload: bytes) -> None:
    assert verify(key.public, domain, payload, sign(key, domain, payload))


@given(keys, st.binary(min_size=1, max_size=60), st.data())
def test_one_changed_bit_fails(key: PrivateKey, payload: bytes, data: st.DataObject) -> None:
    signature = sign(key, "report", payload)

    def flipped(value: bytes) -> bytes:
        bit = data.draw(st.integers(0, len(value) * 8 - 1))
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    assert not verify(key.public, "report", flipped(payload), signature)
    assert not verify(key.public, "report", payload, flipped(signature))
    assert not verify(PublicKey(raw=flipped(key.public.raw)), "report", payload, signature)


@given(keys, domains, domains, st.binary(max_size=40), st.binary(max_size=40))
def test_domains_never_mix(key: PrivateKey, one: str, other: str, payload: bytes, more: bytes) -> None:
    signature = sign(key, one, payload)
    same = (one, payload) == (other, more)
    assert verify(key.public, other, more, signature) is same
    assert not verify_ssh_signature(key.public, one, payload, ssh_signature(key, one + "x", payload))


@pytest.mark.parametrize("domain", ["", "A", "a b", "a\0b", "é", "a" * 65, "report\n"])
def test_odd_domains_are_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="signing domain"):
        sign(KEY, domain, b"")


@given(st.binary(max_size=100))
def test_junk_is_no_signature(junk: bytes) -> None:
    assert not verify(KEY.public, "report", b"x", junk)


@given(keys)
def test_key_texts_round_trip(key: PrivateKey) -> None:
    assert private_key_from_text(private_key_to_text(key)) == key
    assert public_key_from_line(public_key_line(key.public)) == key.public
    assert public_key_from_line(public_key_line(key.public, "a b\nc")) == key.public
    assert "\n" not in public_key_line(key.public, "a b\nc")


def test_a_private_key_is_not_shown() -> None:
    assert KEY.raw.hex() not in repr(KEY)
    assert repr(KEY.raw) not in repr(KEY)


@given(st.text(max_size=60))
def test_junk_is_no_key(text: str) -> None:
    with pytest.raises(KeyFormatError):
        private_key_from_text(text)
    with pytest.raises(KeyFormatError):
        public_key_from_line(text)


@pytest.mark.parametrize(
    "line",
    ["ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", "ssh-rsa AAAA", public_key_line(KEY.public)[:-9]],
)
def test_damaged_lines_are_refused(line: str) -> None:
    with pytest.raises(KeyFormatError):
        public_key_from_line(line)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(KeyFormatError):
        PrivateKey(raw=bytes(size))
    with pytest.raises(KeyFormatError):
        PublicKey(raw=bytes(size))


def test_another_kind_of_key_file_is_refused(tmp_path: Path) -> None:
    ssh_keygen("-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "", "-f", str(tmp_path / "key")).check_returncode()
    with pytest.raises(KeyFormatError, match="another kind"):
        private_key_from_text((tmp_path / "key").read_text())


def test_ssh_keygen_agrees_on_line_and_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(public_key_line(KEY.public) + "\n")
    answer = ssh_keygen("-l", "-f", str(tmp_path / "key.pub"))
    assert answer.returncode == 0
    assert answer.stdout.decode().split()[1:3] == [fingerprint(KEY.public), "pool"]


@pytest.mark.parametrize("message", [b"", b"hello\n", b"\xff\x00" * 5000])
def test_ssh_keygen_verifies_our_signature(tmp_path: Path, message: bytes) -> None:
    signature, signers = tmp_path / "signature", tmp_path / "signers"
    signature.write_text(ssh_signature(KEY, "git", message))
    signers.write_text(allowed_signers_line(KEY.public, "pool@pool.invalid") + "\n")

    def check(namespace: str, data: bytes) -> int:
        common = ("-f", str(signers), "-I", "pool@pool.invalid", "-n", namespace, "-s", str(signature))
        return ssh_keygen("-Y", "verify", *common, stdin=data).returncode

    assert check("git", message) == 0
    assert check("git", message + b"x") != 0
    assert check("file", message) != 0
    found = ssh_keygen("-Y", "find-principals", "-f", str(signers), "-s", str(signature))
    assert found.stdout.decode().strip() == "pool@pool.invalid"


def test_we_verify_what_ssh_keygen_signs(tmp_path: Path) -> None:
    key = tmp_path / "key"
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)).check_returncode()
    public = public_key_from_line((tmp_path / "key.pub").read_text())
    for hash_name in ("sha256", "sha512"):
        signing = ssh_keygen(
            "-Y", "sign", "-f", str(key), "-n", "git", "-O", f"hashalg={hash_name}", stdin=b"message"
        )
        assert signing.returncode == 0, signing.stderr
        armored = signing.stdout.decode()
        assert verify_ssh_signature(public, "git", b"message", armored)
        assert not verify_ssh_signature(public, "git", b"massage", armored)
        assert not verify_ssh_signature(public, "file", b"message", armored)
        assert not verify_ssh_signature(KEY.public, "git", b"message", armored)


@given(st.data())
def test_a_changed_armor_fails(data: st.DataObject) -> None:
    armored = ssh_signature(KEY, "git", b"message")
    body = armored.index("\n") + 1
    place = data.draw(st.integers(body, armored.rindex("\n-----END") - 3))
    letter = data.draw(st.sampled_from("ABCDEFGHabcdefgh0123+/"))
    changed = armored[:place] + letter + armored[place + 1 :]
    assert verify_ssh_signature(KEY.public, "git", b"message", changed) is (changed == armored)


@given(st.text(max_size=80))
def test_junk_armor_fails(text: str) -> None:
    assert not verify_ssh_signature(KEY.public, "git", b"", text)
    wrapped = f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"
    assert not verify_ssh_signature(KEY.public, "git", b"", wrapped)


@pytest.mark.parametrize("principal", ["", "a b", 'x" cert-authority', "a\nb", "*"])
def test_a_signer_cannot_add_options(principal: str) -> None:
    with pytest.raises(ValueError, match="signer"):
        allowed_signers_line(KEY.public, principal)
