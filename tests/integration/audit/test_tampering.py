"""A superuser tampers with the table, and the proof names the row."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg

from tests.integration.audit.conftest import Trail

COLUMNS = {
    "actor_id": "'mallory'", "actor_kind": "'system'", "actor_email": "'m@example.com'", "ip": "'10.9.9.9'",
    "action": "'team.delete'", "resource_type": "'key'", "resource_id": "'key_1'", "request_id": "'req-x'",
    "outcome": "'denied'", "source": "'cli'", "diff": "'{}'", "seq": "99", "org_id": "'org_b'",
    "timestamp": "timestamp + interval '1 hour'",
}  # fmt: skip


def first(result: dict[str, Any]) -> tuple[str, str | None, int | None, str | None]:
    found = result["first"]
    assert found is not None and not result["intact"], result
    return found["kind"], found["org_id"], found["seq"], found["id"]


def test_a_trail_that_nobody_touched_is_intact(trail: Trail) -> None:
    trail.write(5)
    trail.seal()
    trail.write(3)
    trail.write(4, org="org_b")
    trail.seal()
    result = trail.verify()
    assert (result["intact"], result["findings"]) == (True, [])
    assert (result["rows"], result["orgs"], result["checkpoints"]) == (12, 2, 3)


def test_an_install_without_checkpoints_is_walked_all_the_same(trail: Trail) -> None:
    assert trail.verify()["intact"]
    trail.write(2)
    assert trail.verify()["intact"]


def test_a_column_that_shows_something_else_than_was_recorded(trail: Trail) -> None:
    trail.write(6)
    trail.write(6, org="org_b")
    for column, value in COLUMNS.items():
        with trail.tampered(f"UPDATE audit_logs SET {column} = {value} WHERE id = 'aud_0003'"):
            result = trail.verify()
            assert first(result) == ("changed", "org_a", 3, "aud_0003"), column
            assert result["found"] == 1 and column in result["first"]["detail"], result["findings"]
    assert trail.verify()["intact"]


def test_a_content_that_was_changed_in_the_column_and_in_the_chain(trail: Trail) -> None:
    trail.write(6)
    trail.tamper(
        "UPDATE audit_logs SET actor_id = 'mallory', canonical = replace(canonical, 'user_0', 'mallory') "
        "WHERE id = 'aud_0003'"
    )
    result = trail.verify()
    assert (first(result), result["found"]) == (("changed", "org_a", 3, "aud_0003"), 1)


def rewrite(trail: Trail, number: int, *, onwards: bool) -> None:
    """Changes a row and makes its hash anew, and perhaps all that follow, and the head: all that a superuser can."""
    with psycopg.connect(**trail.superuser.conninfo()) as conn:
        previous = b""
        rows = conn.execute("SELECT id, seq, canonical, hash FROM audit_logs WHERE org_id = 'org_a' ORDER BY seq").fetchall()
        for row_id, seq, canonical, digest in rows:
            if seq < number or (seq > number and not onwards):
                previous = digest
                continue
            if seq == number:
                canonical = canonical.replace(f"team_{number}", "team_x")
                conn.execute("UPDATE audit_logs SET resource_id = 'team_x' WHERE id = %s", (row_id,))
            digest = hashlib.sha256(previous + canonical.encode()).digest()
            conn.execute(
                "UPDATE audit_logs SET canonical = %s, prev_hash = %s, hash = %s WHERE id = %s",
                (canonical, previous, digest, row_id),
            )
            previous = digest
        if onwards:
            conn.execute("UPDATE audit_heads SET hash = %s WHERE org_id = 'org_a'", (previous,))


def test_a_row_that_was_rewritten_with_a_hash_that_fits(trail: Trail) -> None:
    trail.write(6)
    rewrite(trail, 3, onwards=False)
    result = trail.verify()
    assert (first(result), result["found"]) == (("changed", "org_a", 3, "aud_0003"), 1)


def test_the_last_row_rewritten_with_a_hash_that_fits(trail: Trail) -> None:
    trail.write(6)
    rewrite(trail, 6, onwards=False)
    assert first(trail.verify()) == ("changed", "org_a", 6, "aud_0006")


def test_a_chain_that_was_rewritten_from_a_row_on_does_not_meet_its_checkpoints(trail: Trail) -> None:
    trail.write(2)
    trail.seal()
    trail.write(4)
    trail.seal()
    rewrite(trail, 4, onwards=True)
    result = trail.verify()
    assert first(result)[:3] == ("changed", "org_a", 3), "the first row behind the last checkpoint that fits"
    assert (result["found"], result["first"]["last_seq"]) == (1, 6)
    trail.tamper("DELETE FROM audit_checkpoints")
    assert "changed" in [found["kind"] for found in trail.verify()["findings"]], "the copies off the host still tell"
    assert trail.verify(shelves=False)["intact"], "without them, who may write everything has won"


def test_the_chain_s_own_columns(trail: Trail) -> None:
    trail.write(6)
    for change in ("prev_hash = sha256('x')", "hash = sha256('x')", "canonical = 'nothing'", "canonical = '{}'"):
        with trail.tampered(f"UPDATE audit_logs SET {change} WHERE id = 'aud_0003'"):
            result = trail.verify()
            assert (first(result), result["found"]) == (("changed", "org_a", 3, "aud_0003"), 1), change


def test_rows_that_were_removed(trail: Trail) -> None:
    trail.write(6)
    trail.write(2, org="org_b")
    cases = {"seq = 1": (1, 1), "seq = 3": (3, 3), "seq IN (3, 4, 5)": (3, 5), "seq > 4": (5, 6), "true": (1, 6)}
    for where, (seq, last) in cases.items():
        with trail.tampered(f"DELETE FROM audit_logs WHERE org_id = 'org_a' AND {where}"):
            result = trail.verify()
            assert first(result)[:3] == ("removed", "org_a", seq), where
            assert (result["found"], result["first"]["last_seq"]) == (1, last), where


def test_a_tail_that_was_cut_off_together_with_head_and_checkpoints(trail: Trail) -> None:
    trail.write(6)
    trail.seal()
    trail.tamper("DELETE FROM audit_logs WHERE seq > 4")
    trail.tamper("UPDATE audit_heads h SET seq = 4, hash = (SELECT hash FROM audit_logs WHERE seq = 4)")
    assert first(trail.verify(shelves=False))[:3] == ("removed", "org_a", 5), "the checkpoint in the database"
    trail.tamper("DELETE FROM audit_checkpoints")
    assert trail.verify(shelves=False)["intact"], "nothing on this host tells any more"
    kinds = {found["kind"]: found for found in trail.verify()["findings"]}
    assert (kinds["removed"]["seq"], kinds["removed"]["last_seq"]) == (5, 6), "the copy off the host does"
    assert "gone from the database" in kinds["checkpoint"]["detail"]


def insert(trail: Trail, like: int, **columns: str) -> None:
    """A row like another one but for some columns."""
    names = ["timestamp", "id", "org_id", "seq", "actor_id", "actor_kind", "actor_email", "ip", "action", "resource_type",
             "resource_id", "diff", "request_id", "outcome", "source", "canonical", "prev_hash", "hash"]  # fmt: skip
    picked = [columns.get(name, name) for name in names]
    trail.tamper(
        f"INSERT INTO audit_logs ({', '.join(names)}) SELECT {', '.join(picked)} FROM audit_logs WHERE seq = {like}"
    )


def test_rows_that_were_put_in(trail: Trail) -> None:
    trail.write(6)
    insert(trail, 3, id="'aud_x'", timestamp="timestamp + interval '1 microsecond'", seq="2")
    result = trail.verify()
    assert (first(result), result["found"]) == (("inserted", "org_a", 3, "aud_x"), 1)
    trail.tamper("DELETE FROM audit_logs WHERE id = 'aud_x'")
    assert trail.verify()["intact"]


def test_a_row_that_was_put_in_with_a_hash_that_fits(trail: Trail) -> None:
    """Before or behind the true row of its place, in the middle or at the end."""
    trail.write(6)
    for shift, like in (("-", 3), ("+", 3), ("-", 6), ("+", 6)):
        stamp = f"timestamp {shift} interval '1 microsecond'"
        body = (
            f"replace(replace(canonical, 'aud_000{like}', 'aud_x'), to_char(timestamp AT TIME ZONE 'UTC', 'US'), "
            f"to_char(({stamp}) AT TIME ZONE 'UTC', 'US'))"
        )
        made = f"sha256(prev_hash || convert_to({body}, 'UTF8'))"
        insert(trail, like, id="'aud_x'", timestamp=stamp, canonical=body, hash=made)
        result = trail.verify()
        assert (first(result), result["found"]) == (("inserted", "org_a", like, "aud_x"), 1), (shift, like)
        trail.tamper("DELETE FROM audit_logs WHERE id = 'aud_x'")


def test_a_chain_that_is_made_up(trail: Trail) -> None:
    trail.write(2)
    with psycopg.connect(**trail.superuser.conninfo()) as conn:
        conn.execute("CREATE TEMP TABLE mine AS SELECT * FROM audit_logs WHERE seq = 1")
        conn.execute("UPDATE mine SET id = 'aud_y', org_id = 'org_z', canonical = replace(replace(canonical, 'aud_0001', 'aud_y'), 'org_a', 'org_z')")
        conn.execute("UPDATE mine SET hash = sha256(convert_to(canonical, 'UTF8'))")
        conn.execute("INSERT INTO audit_logs SELECT * FROM mine")
    assert first(trail.verify()) == ("inserted", "org_z", 1, "aud_y")


def test_heads_that_were_changed(trail: Trail) -> None:
    trail.write(4)
    trail.tamper("UPDATE audit_heads SET seq = 2")
    assert first(trail.verify())[:3] == ("changed", "org_a", 4)
    trail.tamper("UPDATE audit_heads SET seq = 4, hash = sha256('x')")
    assert first(trail.verify())[:3] == ("changed", "org_a", 4)


def test_several_things_are_all_named_and_the_first_one_first(trail: Trail) -> None:
    trail.write(9)
    trail.tamper("UPDATE audit_logs SET actor_id = 'mallory' WHERE seq = 7")
    trail.tamper("DELETE FROM audit_logs WHERE seq IN (3, 4)")
    trail.tamper("UPDATE audit_logs SET diff = '{}' WHERE seq = 6")
    result = trail.verify()
    assert [(found["kind"], found["seq"]) for found in result["findings"]] == [("removed", 3), ("changed", 6), ("changed", 7)]


def test_a_range_reads_no_more_than_it_has_to(trail: Trail) -> None:
    trail.write(9)
    with psycopg.connect(**trail.database.conninfo()) as conn:
        stamp = "to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        times = dict(conn.execute(f"SELECT seq, {stamp} FROM audit_logs").fetchall())
    trail.tamper("UPDATE audit_logs SET actor_id = 'mallory' WHERE seq IN (2, 9)")
    result = trail.verify(since=times[3], until=times[8])
    assert result["intact"] and result["rows"] == 6, result["findings"]
    assert first(trail.verify(since=times[3]))[2] == 9
    assert first(trail.verify(until=times[3]))[2] == 2
    rewrite(trail, 7, onwards=False)
    assert first(trail.verify(since=times[3], until=times[8]))[2] == 7, "the row behind the range does not follow it"
    trail.tamper("DELETE FROM audit_logs WHERE seq = 3")
    assert first(trail.verify(since=times[3], until=times[7]))[:3] == ("removed", "org_a", 3)


def test_one_org_alone(trail: Trail) -> None:
    trail.write(3)
    trail.write(3, org="org_b")
    trail.tamper("UPDATE audit_logs SET actor_id = 'mallory' WHERE org_id = 'org_b' AND seq = 2")
    assert trail.verify(org="org_a")["intact"]
    assert trail.verify(org="org_a")["rows"] == 3
    assert not trail.verify(org="org_b")["intact"]
