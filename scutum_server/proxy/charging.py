"""From what providers report to what is charged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_server.upstream.catalog import Apart, Tokens

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.wire.chat import Usage


def tokens_of(usage: Usage) -> Tokens:
    """The tokens of one call, of which at least the input was reported."""
    taken, given = usage.prompt_tokens_details, usage.completion_tokens_details
    apart = None
    if (
        usage.terms is not None
        or usage.file_searches
        or (taken is not None and (taken.audio_tokens or taken.image_tokens))
        or (given is not None and (given.audio_tokens or given.image_tokens))
    ):
        apart = Apart(
            audio_in=(taken and taken.audio_tokens) or 0,
            image_in=(taken and taken.image_tokens) or 0,
            audio_out=(given and given.audio_tokens) or 0,
            image_out=(given and given.image_tokens) or 0,
            file_searches=usage.file_searches,
            terms=usage.terms,
        )
    return Tokens(usage.prompt_tokens or 0, usage.output, usage.cached, usage.reasoning, *usage.extras, apart)


def asked_apart(call: Call) -> Apart | None:
    """For estimates: the terms that the client asked for, as far as nobody reported others."""
    terms = getattr(call.parsed, "terms", None)
    return None if terms is None else Apart(terms=terms)


def plus(one: Tokens, other: Tokens) -> Tokens:
    """The tokens of two attempts, for the record: each was priced by itself."""
    return Tokens(
        one.input + other.input,
        one.output + other.output,
        one.cached + other.cached,
        one.reasoning + other.reasoning,
        one.cache_write + other.cache_write,
        one.cache_write_long + other.cache_write_long,
        one.searches + other.searches,
    )
