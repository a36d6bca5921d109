"""Walks the orgs' chains in the order of time and finds the first row that was changed, removed or inserted. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from scutum_server.audit.chain.models import COLUMNS, Canonical, ChainRow, Checkpoint, Finding, Head, Kind

MAX_FINDINGS: Final = 1000
_MAX_GAPS: Final = 10_000
_decode = msgspec.json.Decoder(Canonical).decode
_ORG, _SEQ, _TIME, _ID = (COLUMNS.index(name) for name in ("org_id", "seq", "timestamp", "id"))


@dataclass(slots=True)
class _Link:
    """A row's place in its chain; `suspect` is what was found out about it, `also` the hash that it ought to have."""

    seq: int
    hash: bytes
    prev_hash: bytes
    id: str | None
    timestamp: str | None
    suspect: Finding | None = None
    also: bytes | None = None


@dataclass(slots=True)
class _Gap:
    """Places `first` to `last` that no row was found for yet; `before` is the last row in front of them."""

    first: int
    last: int
    before: _Link


@dataclass(slots=True)
class _Org:
    """`before` is the hash that the tip must follow, `rivals` are rows that claim its place: the next one decides."""

    tip: _Link | None = None
    before: bytes = b""
    rivals: list[_Link] = field(default_factory=list)
    gaps: list[_Gap] = field(default_factory=list)
    awaited: dict[int, list[Checkpoint]] = field(default_factory=dict)
    at_tip: list[Checkpoint] = field(default_factory=list)
    signed: int = 0
    """The last place that a checkpoint confirmed."""
    rewritten: bool = False


class Walker:
    """Takes rows by (timestamp, id) over all orgs; holds one link an org, whatever the number of rows.

    `anchored`: the walk begins where the chains do; otherwise an org's first row is taken as it is.
    """

    def __init__(self, *, anchored: bool = True) -> None:
        self.rows = 0
        self.found = 0
        self.confirmed = 0
        self.findings: list[Finding] = []
        self.month: str | None = None
        self._anchored = anchored
        self._orgs: dict[str, _Org] = {}

    @property
    def orgs(self) -> int:
        return len(self._orgs)

    def begin(self, org_id: str, seq: int, digest: bytes) -> None:
        """The org's chain is known up to this row."""
        self._orgs[org_id] = _Org(_Link(seq, digest, b"", None, None), signed=seq)

    def end(self, org_id: str) -> tuple[int, bytes] | None:
        """Where the org's chain ended in the walk."""
        tip = self._org(org_id).tip
        return None if tip is None or tip.seq == 0 else (tip.seq, tip.hash)

    def expect(self, checkpoint: Checkpoint) -> None:
        """A valid checkpoint whose row comes later."""
        self._org(checkpoint.org_id).awaited.setdefault(checkpoint.seq, []).append(checkpoint)

    def tell(self, kind: Kind, detail: str, **where: Any) -> Finding:
        """Notes one thing that is wrong; beyond MAX_FINDINGS they are only counted."""
        finding = Finding(kind=kind, detail=detail, **{"month": self.month, **where})
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        return finding

    def feed(self, row: ChainRow) -> None:
        """The next row; almost every one follows its tip, shows what was recorded, and is done with at once."""
        self.rows += 1
        columns = row.columns
        digest = hashlib.sha256(row.prev_hash + row.canonical.encode()).digest()
        org = self._orgs.get(columns[_ORG])  # type: ignore[arg-type]
        tip = None if org is None else org.tip
        if (
            org is not None and tip is not None and not org.rivals and digest == row.hash
            and row.prev_hash == tip.hash and columns[_SEQ] == tip.seq + 1
        ):  # fmt: skip
            written = _read(row.canonical)
            if written is not None and written.columns() == columns and _same_diff(written.diff, row.diff):
                self._advance(org, _Link(tip.seq + 1, row.hash, row.prev_hash, columns[_ID], columns[_TIME]))  # type: ignore[arg-type]
                return
        self._judge(row, digest)

    def finish(self, heads: Iterable[Head] | None) -> None:
        """The rows are over: what is missing now was removed. Without `heads` the chains go on behind the walk."""
        ends = None if heads is None else {head.org_id: head for head in heads}
        for org_id in ends or ():
            self._org(org_id)
        for org_id, org in self._orgs.items():
            head = None if ends is None else ends.get(org_id)
            self._decide_rivals(org_id, org, None if head is None else head.hash)
            for gap in org.gaps:
                self._missing(org_id, gap)
            last = org.tip
            if last is None:
                continue
            end = max([*org.awaited, 0 if head is None else head.seq])
            if end > last.seq:
                self._missing(org_id, _Gap(last.seq + 1, end, last), tail=True)
            elif ends is not None:
                self._compare(org_id, last, head)

    def _compare(self, org_id: str, last: _Link, head: Head | None) -> None:
        if head is None:
            self._about("inserted", org_id, last, "The org has rows, and audit_heads knows no chain of it.")
        elif head.seq < last.seq:
            detail = f"audit_heads was set back to row {head.seq}, and the chain goes on to row {last.seq}."
            self._about("changed", org_id, last, detail)
        elif head.hash != last.hash and last.suspect is None:
            detail = f"Row {last.seq}, the last one, has another hash than audit_heads has for it."
            self._about("changed", org_id, last, detail)

    def _judge(self, row: ChainRow, digest: bytes) -> None:
        """A row with something odd about it, or the first one of its org."""
        written = _read(row.canonical)
        honest = written is not None and digest == row.hash
        columns = written.columns() if written is not None and honest else row.columns
        org_id, seq = str(columns[_ORG]), int(columns[_SEQ] or 0)
        link = _Link(seq, row.hash, row.prev_hash, str(row.columns[_ID]), str(columns[_TIME]))
        org = self._org(org_id)
        if honest and written is not None:
            differing = [name for name, a, b in zip(COLUMNS, columns, row.columns, strict=True) if a != b]
            if not _same_diff(written.diff, row.diff):
                differing.append("diff")
            if differing:
                detail = f"Row {seq} shows something else than was recorded: {', '.join(differing)}."
                link.suspect = self._about("changed", org_id, link, detail)
        else:
            link.also = digest
        if org.tip is None:
            self._distrust(org_id, link, honest=honest)
            org.before = row.prev_hash
            self._advance(org, link)
        elif seq == org.tip.seq + 1:
            self._follow(org_id, org, link, row, honest=honest)
        elif seq > org.tip.seq + 1:
            self._decide_rivals(org_id, org, None)
            if len(org.gaps) < _MAX_GAPS:
                org.gaps.append(_Gap(org.tip.seq + 1, seq - 1, org.tip))
            self._distrust(org_id, link, honest=honest)
            self._advance(org, link)
        elif not self._fill(org_id, org, link, honest=honest):
            self._second(org_id, org, link, honest=honest)

    def _follow(self, org_id: str, org: _Org, link: _Link, row: ChainRow, *, honest: bool) -> None:
        tip = org.tip
        if tip is None:
            raise AssertionError("a row follows a tip")
        if link.prev_hash != tip.hash:
            if any(rival.hash == link.prev_hash for rival in org.rivals):
                self._decide_rivals(org_id, org, link.prev_hash)
            elif not honest and hashlib.sha256(tip.hash + row.canonical.encode()).digest() == link.hash:
                detail = f"Row {link.seq} was given another prev_hash."
                link.suspect = self._about("changed", org_id, link, detail)
            elif tip.seq == 0 or (tip.id is None and not tip.suspect):
                detail = f"Row {link.seq} does not follow the row before it."
                link.suspect = link.suspect or self._about("changed", org_id, link, detail)
            elif tip.suspect is None:
                detail = f"Row {tip.seq} was rewritten together with its hash: row {link.seq} follows another one."
                self._about("changed", org_id, tip, detail)
        self._decide_rivals(org_id, org, None)
        self._distrust(org_id, link, honest=honest)
        self._advance(org, link)

    def _fill(self, org_id: str, org: _Org, link: _Link, *, honest: bool) -> bool:
        """Puts a row that comes late into its gap: another one's time was changed, or its own."""
        for at, gap in enumerate(org.gaps):
            if gap.first <= link.seq <= gap.last:
                rest = (_Gap(gap.first, link.seq - 1, gap.before), _Gap(link.seq + 1, gap.last, link))
                org.gaps[at : at + 1] = [part for part in rest if part.first <= part.last]
                self._distrust(org_id, link, honest=honest)
                self._confirm(org, link)
                return True
        return False

    def _second(self, org_id: str, org: _Org, link: _Link, *, honest: bool) -> None:
        """A row whose place is taken."""
        tip = org.tip
        if tip is None or link.seq != tip.seq:
            self._inserted(org_id, link)
            return
        signed = any(checkpoint.hash == link.hash.hex() for checkpoint in org.at_tip)
        tip_is_odd = tip.suspect is not None or tip.prev_hash != org.before
        org.rivals.append(link)
        if signed or (tip_is_odd and honest and link.prev_hash == org.before):
            self._decide_rivals(org_id, org, link.hash)

    def _decide_rivals(self, org_id: str, org: _Org, chosen: bytes | None) -> None:
        """The row with the hash `chosen` is the chain's, else the first one; the others were put in."""
        tip = org.tip
        if not org.rivals or tip is None:
            return
        claims = [tip, *org.rivals]
        kept = next((claim for claim in claims if claim.hash == chosen), tip)
        for claim in claims:
            if claim is not kept:
                self._retract(claim.suspect)
                self._inserted(org_id, claim)
        org.tip, org.rivals = kept, []
        if kept is not tip:
            org.awaited[kept.seq] = org.at_tip
            org.rewritten = False
            self._confirm(org, kept)

    def _advance(self, org: _Org, link: _Link) -> None:
        if org.tip is not None:
            org.before = org.tip.hash
        org.tip = link
        org.at_tip = []
        if org.awaited:
            self._confirm(org, link)

    def _confirm(self, org: _Org, link: _Link) -> None:
        """Holds the row against the checkpoints of its place."""
        checkpoints = org.awaited.pop(link.seq, [])
        if org.tip is link:
            org.at_tip = checkpoints
        for checkpoint in checkpoints:
            if checkpoint.hash == link.hash.hex():
                org.signed = max(org.signed, link.seq)
                self.confirmed += 1
            elif link.suspect is None and not org.rewritten:
                org.rewritten = True
                first = org.signed + 1
                detail = (
                    f"Rows {first} to {link.seq} are not those that the checkpoint of {checkpoint.signed_at} was made "
                    f"of: one of them was rewritten, and the chain after it."
                )
                where = {"org_id": checkpoint.org_id, "seq": first, "last_seq": link.seq}
                link.suspect = self.tell("changed", detail, **where, id=link.id, timestamp=link.timestamp)

    def _distrust(self, org_id: str, link: _Link, *, honest: bool) -> None:
        if not honest and link.suspect is None:
            detail = f"Row {link.seq} has a content that does not give its hash."
            link.suspect = self._about("changed", org_id, link, detail)

    def _inserted(self, org_id: str, link: _Link) -> None:
        self._about("inserted", org_id, link, f"A row {link.seq} was put in: another one has that place in the chain.")

    def _missing(self, org_id: str, gap: _Gap, *, tail: bool = False) -> None:
        what = f"Row {gap.first} is" if gap.first == gap.last else f"Rows {gap.first} to {gap.last} are"
        where = "the chain was cut off" if tail else "the chain goes on behind"
        self.tell(
            "removed",
            f"{what} gone: {where}.",
            org_id=org_id,
            seq=gap.first,
            last_seq=gap.last,
            id=gap.before.id,
            timestamp=gap.before.timestamp,
        )

    def _about(self, kind: Kind, org_id: str, link: _Link, detail: str) -> Finding:
        return self.tell(kind, detail, org_id=org_id, seq=link.seq, id=link.id, timestamp=link.timestamp)

    def _retract(self, finding: Finding | None) -> None:
        if finding is not None and finding in self.findings:
            self.findings.remove(finding)
            self.found -= 1

    def _org(self, org_id: str) -> _Org:
        org = self._orgs.get(org_id)
        if org is None:
            tip = _Link(0, b"", b"", None, None) if self._anchored else None
            org = self._orgs[org_id] = _Org(tip)
        return org


def _read(canonical: str) -> Canonical | None:
    try:
        return _decode(canonical)
    except msgspec.MsgspecError:
        return None


def _same_diff(written: msgspec.Raw, shown: str) -> bool:
    """A jsonb prints one value one way, and that is what was hashed; an archive may keep it in another way."""
    if bytes(written) == shown.encode():
        return True
    try:
        return bool(msgspec.json.decode(written) == msgspec.json.decode(shown))
    except msgspec.MsgspecError:
        return False
