"""The parts of an OpenAI request that the simulator acts on, checked as the real one checks them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from scutum_server.upstream.sim_content import count_tokens

Positive = Annotated[int, Meta(ge=1)]
_IMAGE_TOKENS = 85
_MESSAGE_TOKENS = 3
_MOST_INPUTS = 2048


class BadRequest(Exception):
    """A sentence for the caller, and the parameter that is wrong."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


class Message(Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[Any] | None = None


class Function(Struct):
    name: str
    parameters: dict[str, Any] | None = None


class Tool(Struct):
    type: str
    function: Function | None = None


class NamedTool(Struct):
    name: str


class ToolChoice(Struct):
    type: str
    function: NamedTool | None = None


class JsonSchema(Struct):
    schema: dict[str, Any] | None = None


class ResponseFormat(Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct):
    include_usage: bool = False


class ChatRequest(Struct):
    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


class EmbeddingsRequest(Struct):
    model: str
    input: str | list[Any] | UnsetType = UNSET
    dimensions: Annotated[int, Meta(ge=1, le=4096)] | None = None
    encoding_format: Literal["float", "base64"] | None = None


T = TypeVar("T")


def _decode(body: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        told = str(error).partition(" - at ")[0]
        where = re.search(r"`\$\.?([^`]*)`|field `([^`]+)`", str(error))
        param = (where[1] or where[2]) if where else None
        named = f"The field `{param}`" if param else "The request"
        raise BadRequest(f"{named} cannot be used: {told[:1].lower()}{told[1:]}.", param) from None


def decode_chat(body: dict[str, Any]) -> ChatRequest:
    """Raises BadRequest."""
    return _decode(body, ChatRequest)


def decode_embeddings(body: dict[str, Any]) -> EmbeddingsRequest:
    """Raises BadRequest."""
    return _decode(body, EmbeddingsRequest)


def _text_of(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part["text"] for part in message.content or () if isinstance(part.get("text"), str))


def prompt_tokens(request: ChatRequest) -> int:
    """Four bytes a token, three more a message, 85 an image; tools by the size of their JSON."""
    tokens = 0
    for message in request.messages:
        tokens += _MESSAGE_TOKENS + count_tokens(_text_of(message))
        if isinstance(message.content, list):
            tokens += sum(_IMAGE_TOKENS for part in message.content if part.get("type") == "image_url")
    if request.tools:
        tokens += count_tokens(msgspec.json.encode(request.tools).decode())
    return tokens


def last_words(request: ChatRequest) -> str:
    """What the user said last, or an empty text."""
    return next((_text_of(message) for message in reversed(request.messages) if message.role == "user"), "")


def tools_to_call(request: ChatRequest, *, eager: bool) -> list[Function]:
    """The tools that the answer calls; none means that it speaks.

    A choice of "required" or of a name is obeyed. On "auto" a tool is called when the user's last message names it, or,
    when `eager`, all are; after a tool's result the answer speaks, so that an agent's loop ends.
    """
    known = [tool.function for tool in request.tools or () if tool.function is not None]
    choice = request.tool_choice
    if choice == "none" or not known:
        return []
    if isinstance(choice, ToolChoice):
        named = choice.function.name if choice.function else ""
        return [function for function in known if function.name == named][:1]
    said = last_words(request)
    mentioned = [function for function in known if function.name in said]
    if choice == "required":
        called = known if eager else mentioned or known[:1]
    elif request.messages[-1].role == "tool":
        called = []
    else:
        called = known if eager else mentioned
    return called[:1] if request.parallel_tool_calls is False else called


def input_texts(request: EmbeddingsRequest) -> list[str]:
    """The texts to embed, where a list of token numbers stands for one text; raises BadRequest."""
    given = request.input
    if isinstance(given, str):
        texts = [given]
    elif isinstance(given, list) and given and all(isinstance(each, int) for each in given):
        texts = [_numbers(given)]
    elif isinstance(given, list) and given:
        texts = [each if isinstance(each, str) else _numbers(each) for each in given]
    else:
        raise BadRequest("'input' must be a text, a list of texts, or lists of token numbers.", "input")
    if "" in texts:
        raise BadRequest("'input' cannot be an empty text.", "input")
    if len(texts) > _MOST_INPUTS:
        raise BadRequest(f"'input' may hold {_MOST_INPUTS} texts, not {len(texts)}.", "input")
    return texts


def _numbers(given: Any) -> str:
    if not isinstance(given, list) or not given or not all(isinstance(each, int) for each in given):
        raise BadRequest("'input' must be a text, a list of texts, or lists of token numbers.", "input")
    return " ".join(f"{each:03d}" for each in given)
