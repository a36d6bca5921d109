"""Checkpoints: signed by the keeper's key, kept where the service can only add, shipped, and believed only when true."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import psycopg
import pytest

from scutum_server.audit.chain.models import Checkpoint
from scutum_server.audit.chain.sealing import copies
from scutum_server.audit.chain.signing import Keyring, KeyUnreadable, Trust, parse_public, sign
from scutum_server.errors import InvalidInput, Unavailable
from scutum_server.settings import DatabaseSettings
from tests.integration.audit.conftest import Memory, Trail


def shipped(shelf: Memory) -> list[Checkpoint]:
    return [one for month in sorted({key.split("/")[1] for key in shelf.held}) for one in copies(shelf, month)]


def test_each_chain_that_has_grown_is_signed_once(trail: Trail) -> None:
    trail.write(3)
    trail.write(2, org="org_b")
    assert trail.seal().signed == 2
    assert trail.seal().signed == 0, "nothing has happened since"
    trail.write(4, org="org_b")
    done = trail.seal()
    assert (done.signed, done.findings) == (1, [])
    signed = {(one.org_id, one.seq): one.count for one in shipped(trail.shelf)}
    assert signed == {("org_a", 3): 3, ("org_b", 2): 2, ("org_b", 6): 4}
    trust = trail.keyring().trust()
    assert [trust.fault(one) for one in shipped(trail.shelf)] == [None, None, None]


def test_the_key_is_private_and_made_once(trail: Trail) -> None:
    trail.seal()
    first = (trail.keys / "signing.pem").read_bytes()
    assert stat.S_IMODE((trail.keys / "signing.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(trail.keys.stat().st_mode) == 0o700
    trail.seal()
    assert (trail.keys / "signing.pem").read_bytes() == first


def test_a_key_that_cannot_be_read_is_not_replaced(trail: Trail) -> None:
    trail.seal()
    (trail.keys / "signing.pem").write_text("what is this")
    with pytest.raises(KeyUnreadable, match="signing.pem"):
        trail.seal()
    assert (trail.keys / "signing.pem").read_text() == "what is this"


def test_the_service_can_only_add_checkpoints(trail: Trail) -> None:
    trail.write()
    trail.seal()
    for statement in (
        "UPDATE audit_checkpoints SET seq = 1", "DELETE FROM audit_checkpoints", "TRUNCATE audit_checkpoints",
        "DROP TABLE audit_checkpoints", "ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL",
    ):  # fmt: skip
        with psycopg.connect(**trail.database.conninfo()) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


def test_a_forged_checkpoint_is_named(trail: Trail) -> None:
    trail.write(3)
    trail.seal()
    for change in ("hash = sha256('x')", "seq = 2", "count = 9", "signature = '\\x00'", "key_id = 'a'", "org_id = 'org_b'",
                   "signed_at = now() - interval '1 hour'"):  # fmt: skip
        with trail.tampered(f"UPDATE audit_checkpoints SET {change}"):
            result = trail.verify(shelves=False)
            found = (result["first"]["kind"], result["checkpoints_faulty"], result["found"])
            assert found == ("checkpoint", 1, 1), (change, result["findings"])


def test_a_checkpoint_that_another_key_made_is_not_believed(trail: Trail, tmp_path: Path) -> None:
    trail.write(3)
    other = Keyring(tmp_path / "other")
    key = other.open()
    (forged,) = [one for one in [Checkpoint(org_id="org_a", seq=3, timestamp="2026-11-21T00:00:00.000000Z", hash="00", count=3, signed_at="2026-11-21T00:00:00.000000Z", key_id=other.trust().keys[0].id)]]
    forged = sign(key, forged)
    store = trail.connect()
    store.seal(forged)
    store.close()
    trail.keyring().open()
    found = trail.verify(until="2027-01-01T00:00:00.000000Z")["first"]
    assert found["kind"] == "checkpoint" and "not trusted" in found["detail"]
    trail.write()
    assert trail.seal().signed == 1, "a false one does not take a true one's place"


def test_after_a_rotation_the_former_key_holds_for_what_it_has_signed(trail: Trail) -> None:
    trail.write(2)
    former = trail.keyring().open()
    trail.seal(rotate=True)
    trail.write(2)
    trail.seal()
    keys = trail.keyring().trust().keys
    assert len(keys) == 2 and len([key for key in keys if key.retired_at]) == 1
    assert {one.key_id for one in shipped(trail.shelf)} == {key.id for key in keys}
    result = trail.verify()
    assert (result["intact"], result["checkpoints"], len(result["keys"])) == (True, 2, 2)
    retired = next(key for key in keys if key.retired_at)
    late = Checkpoint(org_id="org_a", seq=1, timestamp="2026-11-21T00:00:00.000000Z", hash="00", count=1, signed_at="2999-01-01T00:00:00.000000Z", key_id=retired.id)
    assert "retired" in str(trail.keyring().trust().fault(sign(former, late)))


def test_an_auditor_trusts_the_keys_that_he_has(trail: Trail, tmp_path: Path) -> None:
    trail.write(2)
    trail.seal()
    other = Keyring(tmp_path / "other")
    other.open()
    assert not trail.verify(trust=other.trust())["intact"]
    assert trail.verify(trust=Trust([parse_public(key.pem) for key in trail.keyring().trust().keys]))["intact"]
    with pytest.raises(InvalidInput):
        parse_public("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


def test_copies_that_an_auditor_kept_tell_of_a_cut_tail(trail: Trail) -> None:
    trail.write(4)
    trail.seal()
    kept = shipped(trail.shelf)
    trail.tamper("DELETE FROM audit_logs WHERE seq > 2")
    trail.tamper("UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_logs WHERE seq = 2)")
    trail.tamper("DELETE FROM audit_checkpoints")
    trail.shelf.held.clear()
    assert trail.verify()["intact"]
    kinds = {found["kind"] for found in trail.verify(checkpoints=kept)["findings"]}
    assert kinds == {"removed", "checkpoint"}


def test_the_keeper_notices_what_was_changed_since_its_last_checkpoint(trail: Trail) -> None:
    trail.write(2)
    trail.seal()
    trail.write(4)
    trail.tamper("UPDATE audit_logs SET actor_id = 'mallory' WHERE seq = 4")
    assert [(found.kind, found.seq) for found in trail.seal().findings] == [("changed", 4)]
    trail.tamper("DELETE FROM audit_logs WHERE seq > 4")
    assert trail.seal().findings == [], "nothing new to read"
    trail.tamper("UPDATE audit_heads SET seq = 9")
    assert [(found.kind, found.seq) for found in trail.seal().findings] == [("removed", 7)]


class Away(Memory):
    def put(self, key: str, data: bytes) -> None:
        raise Unavailable("The bucket does not answer.")


def test_what_could_not_be_shipped_goes_later_and_in_order(trail: Trail) -> None:
    working, trail.shelf = trail.shelf, Away()
    trail.write(2)
    assert trail.seal().failures == {"memory": "The bucket does not answer."}
    trail.write(2)
    trail.seal()
    with psycopg.connect(**trail.database.conninfo()) as conn:
        assert conn.execute("SELECT error, failing_since IS NOT NULL FROM audit_shipments").fetchone() == (
            "The bucket does not answer.", True,
        )  # fmt: skip
    trail.shelf = working
    assert trail.seal().shipped == 2
    assert [one.seq for one in shipped(working)] == [2, 4]
    assert trail.seal().shipped == 0


def test_two_keepers_do_not_sign_at_once(trail: Trail, database: DatabaseSettings) -> None:
    trail.write()
    store = trail.connect()
    with store.alone() as mine:
        assert mine
        assert trail.seal().busy
    store.close()
    assert trail.seal().signed == 1


def test_a_checkpoint_reads_back_as_it_was_signed(trail: Trail) -> None:
    """An auditor checks it with any Ed25519 tool: the message is the JSON without the signature, names sorted."""
    trail.write()
    trail.seal()
    (one,) = shipped(trail.shelf)
    line = msgspec.json.decode(next(iter(trail.shelf.held.values())).splitlines()[0])
    signature = line.pop("signature")
    assert msgspec.json.encode(dict(sorted(line.items()))) == one.message() and signature == one.signature
