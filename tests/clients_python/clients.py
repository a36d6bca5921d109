"""LangChain, LiteLLM's client and llm, unchanged, against the gateway.

python clients.py URL KEY '{"chat": [...], "responses": [...], "messages": [...], "embeddings": [...], "png": "..."}'
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}

import litellm
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

URL, KEY = sys.argv[1:3]
PLAN = json.loads(sys.argv[3])
BOTH = "What is the weather in Bern, and what time is it? Call get_weather and get_clock."
SAY = "Say exactly: alpha beta"
DONE = "The tools say: get_weather done; get_clock done"
passed = failed = 0


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def check(name: str, run: Callable[[], None]) -> None:
    global passed, failed
    try:
        run()
        passed += 1
    except Exception:
        failed += 1
        print(f"FAILED {name}: {traceback.format_exc()}", file=sys.stderr)


def exact(entry: dict[str, Any], said: Any, wanted: str) -> None:
    assert said if entry.get("simulated") else said == wanted, said


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return "get_weather done"


@tool
def get_clock(zone: str) -> str:
    """Time of a zone."""
    return "get_clock done"


def langchain(entry: dict[str, Any], *, responses: bool) -> None:
    name = f"langchain-openai {'responses' if responses else 'chat'} {entry['model']}"
    model = ChatOpenAI(
        model=entry["model"], base_url=f"{URL}/v1", api_key=KEY, max_retries=0, use_responses_api=responses, stream_usage=True
    )

    def text() -> None:
        whole = model.invoke(SAY)
        exact(entry, whole.text, "alpha beta")
        total = None
        for piece in model.stream(SAY):
            total = piece if total is None else total + piece
        assert total.text == whole.text
        assert total.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"] > 0

    def tools() -> None:
        bound = model.bind_tools([get_weather, get_clock])
        turns: list[Any] = [HumanMessage(BOTH)]
        total: Any = None
        for piece in bound.stream(turns):
            total = piece if total is None else total + piece
        assert [call["name"] for call in total.tool_calls] == ["get_weather", "get_clock"], total.tool_calls
        turns.append(bound.invoke(turns))
        known = {"get_weather": get_weather, "get_clock": get_clock}
        turns += [
            ToolMessage(known[call["name"]].invoke(call["args"]), tool_call_id=call["id"]) for call in turns[-1].tool_calls
        ]
        exact(entry, bound.invoke(turns).text, DONE)

    def structured() -> None:
        assert isinstance(model.with_structured_output(Person).invoke("Invent a person."), Person)

    def image() -> None:
        parts = [{"type": "text", "text": "What?"},
                 {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PLAN['png']}"}}]  # fmt: skip
        exact(entry, model.invoke([HumanMessage(parts)]).text, "I see 1 image(s).")

    for run in (text, tools, structured, image):
        check(f"{name}: {run.__name__}", run)


CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {field: {"type": "string"}}, "required": [field]}}}
    for name, field in (("get_weather", "city"), ("get_clock", "zone"))
]  # fmt: skip


def lite(entry: dict[str, Any], prefix: str, base: str) -> None:
    fields: dict[str, Any] = {
        "model": f"{prefix}/{entry['model']}", "api_base": base, "api_key": KEY, "num_retries": 0,
    }  # fmt: skip
    name = f"litellm {prefix} {entry['model']}"

    def text() -> None:
        whole = litellm.completion(messages=[{"role": "user", "content": SAY}], **fields)
        exact(entry, whole.choices[0].message.content, "alpha beta")
        chunks = list(litellm.completion(messages=[{"role": "user", "content": SAY}], stream=True, **fields))
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert said == whole.choices[0].message.content

    def tools() -> None:
        turns: list[Any] = [{"role": "user", "content": BOTH}]
        said = litellm.completion(messages=turns, tools=CHAT_TOOLS, **fields).choices[0].message
        assert [call.function.name for call in said.tool_calls] == ["get_weather", "get_clock"]
        turns.append(said)
        turns += [
            {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} done"} for call in said.tool_calls
        ]
        exact(entry, litellm.completion(messages=turns, tools=CHAT_TOOLS, **fields).choices[0].message.content, DONE)

    def structured() -> None:
        said = litellm.completion(
            messages=[{"role": "user", "content": "Invent a person."}], response_format=Person, **fields
        )
        Person.model_validate_json(said.choices[0].message.content)

    for run in (text, tools, structured):
        check(f"{name}: {run.__name__}", run)


def lite_responses(entry: dict[str, Any]) -> None:
    def run() -> None:
        fields: dict[str, Any] = {"model": f"openai/{entry['model']}", "api_base": f"{URL}/v1", "api_key": KEY}
        said = litellm.responses(input=SAY, **fields)
        exact(entry, said.output[-1].content[0].text, "alpha beta")
        events = list(litellm.responses(input=SAY, stream=True, **fields))
        assert events[-1].type == "response.completed"

    check(f"litellm responses {entry['model']}", run)


def llm(entries: list[dict[str, Any]]) -> None:
    """The command, with the gateway's models in its own configuration."""
    with tempfile.TemporaryDirectory() as home:
        models = [
            {"model_id": f"s-{entry['model']}", "model_name": entry["model"], "api_base": f"{URL}/v1",
             "api_key_name": "scutum", "supports_tools": True, "supports_schema": True, "vision": True}
            for entry in entries
        ]  # fmt: skip
        Path(home, "extra-openai-models.yaml").write_text(json.dumps(models))
        Path(home, "keys.json").write_text(json.dumps({"scutum": KEY}))
        picture = Path(home, "dot.png")
        picture.write_bytes(base64.b64decode(PLAN["png"]))
        functions = "def get_weather(city: str) -> str:\n    'Weather.'\n    return 'get_weather done'\n"

        def ask(entry: dict[str, Any], *arguments: str) -> str:
            command = [sys.executable, "-m", "llm", "-m", f"s-{entry['model']}", *arguments]
            done = subprocess.run(command, env=os.environ | {"LLM_USER_PATH": home}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        def run(entry: dict[str, Any]) -> None:
            exact(entry, ask(entry, SAY), "alpha beta")
            exact(entry, ask(entry, SAY, "--no-stream"), "alpha beta")
            Person.model_validate_json(ask(entry, "Invent a person.", "--schema", "name, age int"))
            exact(entry, ask(entry, "What?", "-a", str(picture)), "I see 1 image(s).")
            exact(entry, ask(entry, "Call get_weather.", "--functions", functions), "The tools say: get_weather done")

        for entry in entries:
            check(f"llm {entry['model']}", lambda entry=entry: run(entry))


def embeddings(model: str) -> None:
    def run() -> None:
        # The default counts tokens with a vocabulary that it fetches from the internet.
        made = OpenAIEmbeddings(model=model, base_url=f"{URL}/v1", api_key=KEY, check_embedding_ctx_length=False)
        assert len(made.embed_documents(["a", "b"])) == 2
        lited = litellm.embedding(model=f"openai/{model}", input=["a"], api_base=f"{URL}/v1", api_key=KEY)
        assert len(lited.data) == 1

    check(f"embeddings {model}", run)


for each in PLAN["chat"]:
    langchain(each, responses=False)
    lite(each, "openai", f"{URL}/v1")
for each in PLAN["responses"]:
    langchain(each, responses=True)
    lite_responses(each)
for each in PLAN["messages"]:
    lite(each, "anthropic", URL)
llm(PLAN["chat"][:4] if len(PLAN["chat"]) > 4 else PLAN["chat"])
for each in PLAN["embeddings"]:
    embeddings(each)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
