"""Bodies that belong to no domain: health and problems."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Schema(BaseModel):
    current: Annotated[str | None, Field(description="Of the database; null when it cannot be asked.")]
    expected: Annotated[str, Field(description="What this release was written for.")]


class Checks(BaseModel):
    database: Annotated[str, Field(examples=["ok", "unavailable", "schema_mismatch"])]
    redis: Annotated[str, Field(examples=["ok", "unavailable"])]
    worker: Annotated[str, Field(examples=["ok", "no heartbeat", "waiting for database", "unknown"])]
    traces: Annotated[
        str,
        Field(
            description="Spans on their way to the collector; ok also when there is none.",
            examples=["ok", "it answers 503", "connection refused", "unknown"],
        ),
    ]
    spend_rejects: Annotated[
        str,
        Field(
            description="Usage records that could not be stored: they are in the table spend_rejects.",
            examples=["ok", "3 in 24 h", "unknown"],
        ),
    ]
    jobs: Annotated[
        str,
        Field(
            description="Background jobs that failed and have not gone well since.",
            examples=["ok", "archives.run failed once", "unknown"],
        ),
    ]
    partitions: Annotated[
        str,
        Field(
            description="Whether this month and the next one have their place in the database.",
            examples=["ok", "audit_logs_202612 is missing", "unknown"],
        ),
    ]
    archives: Annotated[
        str,
        Field(
            description="Whether some month could not be archived; it is still in the database.",
            examples=["ok", "audit_logs 2026-08 failed", "unknown"],
        ),
    ]
    audit: Annotated[
        str,
        Field(
            description="Whether the audit trail's last verification found something, or checkpoints are not shipped.",
            examples=["ok", "tampered with", "checkpoints are not shipped", "unknown"],
        ),
    ]


class Health(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    status: Literal["ok", "degraded"]
    version: str
    schema_: Annotated[Schema, Field(alias="schema")]
    checks: Checks


class FieldError(BaseModel):
    field: str
    message: str
    line: Annotated[int | None, Field(description="Of a file, from 1 on.")] = None
    column: int | None = None


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:scutum:problem:key_not_found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no key “ci”.",
                    "code": "key_not_found",
                    "hint": "See: scutum keys list",
                    "request_id": "019a9f5e-7c1b-7c55-9d0e-2f6c7a3b1d84",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What happened, for people.")]
    code: Annotated[str, Field(description="Stable, for programs.")]
    hint: Annotated[str | None, Field(description="What to do next.")]
    request_id: Annotated[str, Field(description="The same as the header x-request-id.")]
    errors: Annotated[list[FieldError], Field(description="The wrong fields, where it is about fields.")] = []
