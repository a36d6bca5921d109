"""Bodies of the routes for the configuration as a file."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr

from scutum_server.schemas import Answer, Body, Time

_EXAMPLE = "version: 1\nteams:\n- org: default\n  name: search\n"
File = Annotated[str, Field(max_length=33_554_432, description="The file's text, YAML.")]
Prune = Annotated[
    bool, Field(description="Also delete what the sections of the file do not have; a section that is absent is left.")
]


class ConfigDiff(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"file": _EXAMPLE}]})

    file: File
    prune: Prune = False


class ConfigApply(ConfigDiff):
    model_config = ConfigDict(json_schema_extra={"examples": [{"file": _EXAMPLE, "prune": False}]})

    expected: Annotated[
        str | None, Field(max_length=64, description="`digest` of the plan that was agreed to: 409 when it is another.")
    ] = None
    secrets: Annotated[
        dict[str, Annotated[SecretStr, Field(max_length=16384)]],
        Field(
            default_factory=dict,
            max_length=1000,
            description="The values of references such as `env:OPENAI_API_KEY`, by reference.",
        ),
    ]


class ConfigFile(Answer):
    file: Annotated[str, Field(description="The same text for the same state; no secrets.")]


class ConfigValue(Answer):
    before: Any
    after: Any


class ConfigChange(Answer):
    action: Literal["create", "update", "delete"]
    section: str
    noun: str
    name: Annotated[str, Field(description="The object's names, such as default/search/my-app.")]
    fields: dict[str, ConfigValue]
    line: Annotated[int | None, Field(description="Of the file; null for what is not in it.")]


class ConfigCounts(Answer):
    create: int
    update: int
    delete: int


class ConfigPlan(Answer):
    changes: Annotated[list[ConfigChange], Field(description="In the order in which they are made.")]
    counts: ConfigCounts
    secrets: Annotated[list[str], Field(description="The references to secrets that the file has.")]
    missing: Annotated[list[str], Field(description="Those whose values are needed and were not told.")]
    digest: Annotated[str, Field(description="The same for the same changes.")]


class ConfigDrift(Answer):
    applied: Annotated[bool, Field(description="Whether a file was ever applied, and not forgotten since.")]
    sha256: Annotated[str | None, Field(description="Of the file that was applied last.")]
    pruned: bool | None
    objects: int | None
    applied_at: Time | None
    applied_by: str | None
    drifted_since: Annotated[Time | None, Field(description="As the worker noticed it, once a minute.")]
    changes: Annotated[list[ConfigChange], Field(description="What applying it again would change.")]
