"""Tokens, names, challenges and sessions: who becomes whom, once, and until when."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ar_coordinator.store import Store, keys
from ar_coordinator.store import identities as module
from ar_coordinator.store.identities import CHALLENGE_SECONDS, Identities, Redeemed
from ar_core.candidate import sha256
from ar_core.records import Identity, Role, TokenRecord

KEY, OTHER = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def identities(store: Store) -> Identities:
    return store.identities


def token(
    identities: Identities, secret: str = "s", role: Role = Role.WORKER, *, uses: int = 1, contributor: str = "",
    days: float = 7,
) -> TokenRecord:  # fmt: skip
    record = TokenRecord(
        id=f"t-{secret[:9]}", role=role, contributor=contributor, uses=uses, used=0,
        expires=datetime.now(UTC) + timedelta(days=days),
    )  # fmt: skip
    identities.add_token(secret, record)
    return record


def redeem(
    identities: Identities, secret: str = "s", key: bytes = KEY, *, role: str = "", name: str = "",
    names: tuple[str, ...] = ("calm-otter", "keen-fox"),
) -> Redeemed:  # fmt: skip
    return identities.redeem(secret, key, wanted_role=role, wanted_name=name, names=names)


def joined(
    identities: Identities, secret: str = "s", key: bytes = KEY, *, role: str = "", name: str = ""
) -> Identity:
    redeemed = redeem(identities, secret, key, role=role, name=name)
    assert redeemed.answer == "joined", redeemed
    identity = identities.get(redeemed.detail)
    assert identity is not None
    return identity


def test_a_token_becomes_an_identity(identities: Identities) -> None:
    token(identities, role=Role.PUBLISHER)
    identity = joined(identities, name="Ada")
    assert (identity.role, identity.contributor, identity.public_key) == (Role.PUBLISHER, "Ada", KEY)
    assert identity.machine.startswith("m-")
    assert identity.banned is None
    assert identities.all() == [identity]
    assert identities.tokens()[0].used == 1


def test_the_same_token_and_key_are_the_same_identity_also_when_it_is_used_up_or_expired(
    identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    token(identities)
    first = joined(identities, name="ada")
    assert joined(identities, name="somebody-else") == first
    assert redeem(identities, key=OTHER).answer == "used"
    later = int((datetime.now(UTC) + timedelta(days=8)).timestamp() * 1000)
    monkeypatch.setattr(module, "now_ms", lambda: later)
    assert joined(identities) == first
    assert redeem(identities, key=OTHER).answer == "expired"
    assert identities.tokens()[0].used == 1


@pytest.mark.parametrize("days", [-1, 0])
def test_an_expired_token(identities: Identities, days: float) -> None:
    token(identities, days=days)
    assert redeem(identities).answer == "expired"
    assert identities.all() == []


def test_an_unknown_or_revoked_token(identities: Identities) -> None:
    assert redeem(identities, "nobody's").answer == "unknown"
    record = token(identities, uses=5)
    joined(identities)
    revoked = identities.revoke_token(record.id)
    assert revoked is not None
    assert revoked.revoked
    assert redeem(identities).answer == redeem(identities, key=OTHER).answer == "unknown"
    assert identities.revoke_token("t-nobody's") is None


def test_only_the_hash_of_a_secret_is_stored(identities: Identities, store: Store) -> None:
    token(identities, "a-secret-of-128-bits")
    joined(identities, "a-secret-of-128-bits")
    session = identities.open_session("i-1")
    redis = store.connection.raw
    for key in redis.scan_iter():
        dump = key + (redis.dump(key) or b"")
        assert b"of-128-bits" not in dump
        assert session.encode() not in dump


@pytest.mark.parametrize(("role", "wanted", "answer"), [
    (Role.WORKER, "", "joined"), (Role.WORKER, "worker", "joined"), (Role.WORKER, "publisher", "role"),
    (Role.WORKER, "operator", "role"), (Role.PUBLISHER, "worker", "role"), (Role.VERIFIER, "worker", "role"),
    (Role.VERIFIER, "verifier", "joined"), (Role.OPERATOR, "publisher", "joined"),
    (Role.OPERATOR, "worker", "joined"),
])  # fmt: skip
def test_what_a_token_of_a_role_is_good_for(identities: Identities, role: Role, wanted: str, answer: str) -> None:
    token(identities, role=role)
    redeemed = redeem(identities, role=wanted)
    assert redeemed.answer == answer
    if answer == "role":
        assert redeemed.detail == role.value
        assert identities.tokens()[0].used == 0
    else:
        assert identities.all()[0].role is role, "a wish never changes the role"


def test_having_joined_in_one_role_is_no_way_into_another(identities: Identities) -> None:
    token(identities)
    joined(identities, role="worker")
    assert redeem(identities, role="publisher") == Redeemed(answer="role", detail="worker")


def test_a_name_belongs_to_the_first_key_whatever_its_case(identities: Identities) -> None:
    token(identities, uses=5)
    joined(identities, name="Ada")
    taken = identities.redeem("s", OTHER, wanted_role="", wanted_name="aDA", names=["ADA", "ada-2", "ada-3"])
    assert taken == Redeemed(answer="taken", detail="ada-2")
    assert identities.redeem("s", OTHER, wanted_role="", wanted_name="ada", names=["Ada"]).detail == ""
    token(identities, "second")
    assert joined(identities, "second", KEY, name="ada").contributor == "ada"


def test_a_name_stays_with_its_key_after_leaving(identities: Identities) -> None:
    token(identities, uses=5)
    ada = joined(identities, name="ada")
    identities.remove(ada)
    assert identities.get(ada.id) is None
    assert identities.all() == []
    assert redeem(identities, key=OTHER, name="ada").answer == "taken"
    assert joined(identities, name="ada").id != ada.id, "coming back costs a use and makes a new identity"
    assert identities.tokens()[0].used == 2


def test_who_has_no_name_gets_a_free_one(identities: Identities) -> None:
    token(identities, uses=5)
    assert joined(identities).contributor == "calm-otter"
    assert joined(identities, key=OTHER).contributor == "keen-fox"
    third = joined(identities, key=b"\x03" * 32)
    assert third.contributor == third.machine, "the machine's pseudonym when every suggestion is taken"


def test_a_token_for_a_contributor_joins_another_machine_of_theirs(identities: Identities) -> None:
    token(identities)
    joined(identities, name="ada")
    token(identities, "again", contributor="ada")
    assert joined(identities, "again", OTHER, name="eve").contributor == "ada"
    token(identities, "third")
    assert redeem(identities, "third", OTHER, name="ada").answer == "taken", "the first key still owns the name"


def test_of_many_at_once_one_gets_a_token_of_one_use(identities: Identities) -> None:
    token(identities, "one")
    token(identities, "three", uses=3)
    for secret, uses in (("one", 1), ("three", 3)):
        with ThreadPoolExecutor(8) as threads:
            asks = [threads.submit(redeem, identities, secret, bytes([n]) * 32) for n in range(1, 25)]
            answers = [ask.result().answer for ask in asks]
        assert answers.count("joined") == uses
        assert answers.count("used") == len(answers) - uses
    assert len(identities.all()) == 4
    assert len({identity.contributor.lower() for identity in identities.all()}) == 4


def test_one_machine_asking_many_times_at_once_is_one_identity(identities: Identities) -> None:
    token(identities, uses=9)
    with ThreadPoolExecutor(8) as threads:
        found = {ask.result().detail for ask in [threads.submit(redeem, identities) for _ in range(24)]}
    assert len(found) == 1
    assert identities.tokens()[0].used == 1


def test_tokens_are_listed_newest_first(identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, secret in enumerate(["a", "b", "c"]):
        monkeypatch.setattr(module, "now_ms", lambda number=number: number)
        token(identities, secret)
    assert [t.id for t in identities.tokens()] == ["t-c", "t-b", "t-a"]
    assert identities.token("t-b") == identities.tokens()[1]
    assert identities.token("t-nobody's") is None


def test_a_ban_has_a_reason_and_can_be_lifted(identities: Identities) -> None:
    token(identities)
    identity = joined(identities)
    banned = identities.set_ban(identity, "spam")
    assert identities.get(identity.id) == banned
    assert banned.banned == "spam"
    assert identities.set_ban(banned, None) == identity == identities.get(identity.id)


def test_a_challenge_is_good_once_and_for_a_minute(identities: Identities, store: Store) -> None:
    nonce = identities.make_challenge("i-1")
    assert len(nonce) == 32
    assert nonce != identities.make_challenge("i-1")
    assert 0 < store.connection.text.ttl(keys.challenge(nonce.hex())) <= CHALLENGE_SECONDS
    assert identities.take_challenge(nonce) == "i-1"
    assert identities.take_challenge(nonce) is None
    assert identities.take_challenge(b"made up") is None


def test_a_session_ends(identities: Identities, store: Store) -> None:
    token(identities)
    identity = joined(identities)
    session = identities.open_session(identity.id, 30)
    key = keys.session(sha256(session.encode()))
    assert identities.session(session) == identity
    assert 0 < store.connection.text.ttl(key) <= 30
    store.connection.text.pexpireat(key, 1)
    assert identities.session(session) is None
    assert identities.session("") is None


def test_a_session_ends_with_its_identity(identities: Identities) -> None:
    token(identities)
    identity = joined(identities)
    session = identities.open_session(identity.id)
    identities.remove(identity)
    assert identities.session(session) is None


def test_what_the_registry_has_to_write_is_marked(identities: Identities, store: Store) -> None:
    token(identities)
    store.connection.text.delete(keys.REGISTRY_DIRTY)
    identity = joined(identities)
    dirty = store.connection.text.smembers(keys.REGISTRY_DIRTY)
    assert f"identity:{identity.id}" in dirty
    assert any(item.startswith("token:") for item in dirty)
