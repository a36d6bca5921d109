"""Bodies of the routes about the proof."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from scutum_server.schemas import Answer, Body, Time

_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"
Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){1,64}$")]
Stamp = Annotated[str, StringConstraints(pattern=_MOMENT)]


class Checkpoint(Answer):
    """A signed statement that the row `seq` of an org's chain had this hash."""

    org_id: str
    seq: Annotated[int, Field(description="Place of the row in the org's chain.")]
    timestamp: Annotated[str, Field(description="The row's time.")]
    hash: str
    count: Annotated[int, Field(description="Rows that the signer read since its checkpoint before.")]
    signed_at: str
    key_id: str
    signature: Annotated[
        str, Field(description="Ed25519 over the JSON of all other fields, names sorted, without spaces.")
    ]


class CheckpointList(Answer):
    items: list[Checkpoint]
    next: str | None


class GivenCheckpoint(Body):
    """A copy that was kept elsewhere."""

    org_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    seq: Annotated[int, Field(ge=1, le=2**62)]
    timestamp: Stamp
    hash: Hex
    count: Annotated[int, Field(ge=0, le=2**62)]
    signed_at: Stamp
    key_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    signature: Hex


class Verify(Body):
    """What to verify; everything when nothing is said."""

    since: Annotated[str | None, Field(alias="from", max_length=40, description="15m, 24h, 30d or an ISO time.")] = None
    until: Annotated[str | None, Field(alias="to", max_length=40, description="The same forms.")] = None
    keys: Annotated[
        list[Annotated[str, StringConstraints(max_length=1000)]],
        Field(max_length=100, description="Public keys in PEM that are trusted instead of the server's own."),
    ] = Field(default_factory=list)
    checkpoints: Annotated[
        list[GivenCheckpoint], Field(max_length=2000, description="Copies of checkpoints that were kept elsewhere.")
    ] = Field(default_factory=list)


class AuditTask(Answer):
    """Something that the keeper of the audit trail does, in the background."""

    id: str
    kind: Annotated[str, Field(description="verify, checkpoint or rotate.")]
    org_id: str | None
    state: Annotated[str, Field(description="waiting, running, done or failed.")]
    progress: Annotated[
        dict[str, Any], Field(description="Of a verification: `rows` so far, `total`, `month`, `found`.")
    ]
    result: Annotated[
        dict[str, Any] | None, Field(description="Of a verification: `intact`, the `first` finding and all others.")
    ]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class AuditTaskList(Answer):
    items: list[AuditTask]
    next: str | None


class AuditKey(Answer):
    """A public key of the checkpoints."""

    id: str
    pem: str
    retired_at: Time | None


class AuditKeyList(Answer):
    items: list[AuditKey]
    next: str | None = None


class Shipment(Answer):
    """A place off the host that checkpoints go to."""

    target: str
    shipped_at: Time | None
    behind: Annotated[int, Field(description="Checkpoints that have not reached it yet.")]
    error: str | None
    failing_since: Time | None


class ShipmentList(Answer):
    items: list[Shipment]
    next: str | None = None
