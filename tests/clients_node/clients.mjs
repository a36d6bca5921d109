// The Node.js clients of OpenAI and Anthropic and Vercel's AI SDK, unchanged, against the gateway.
//   node clients.mjs URL KEY '{"chat": [...models], "responses": [...], "messages": [...], "embeddings": "model"}'
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, isStepCount, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, apiKey, plan] = process.argv.slice(2);
const { chat, responses, messages, embeddings, png } = JSON.parse(plan);
const stopAfter = isStepCount ?? stepCountIs;
const BOTH = "What is the weather in Bern, and what time is it? Call get_weather and get_clock.";
const SAY = "Say exactly: alpha beta";
const Person = z.object({ name: z.string(), age: z.number().int() });
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const zone = { type: "object", properties: { zone: { type: "string" } }, required: ["zone"], additionalProperties: false };

let failures = 0, passed = 0;
async function check(name, run) {
  try {
    await run();
    passed += 1;
  } catch (error) {
    failures += 1;
    console.error(`FAILED ${name}: ${error?.stack ?? error}`);
  }
}

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });

for (const { model, simulated } of chat) {
  const exact = (said, wanted) => assert.ok(simulated ? said : said === wanted, said);
  const tools = [
    { type: "function", function: { name: "get_weather", parameters: city, strict: true } },
    { type: "function", function: { name: "get_clock", parameters: zone } },
  ];
  await check(`openai chat ${model}`, async () => {
    const whole = await openai.chat.completions.create({ model, messages: [{ role: "user", content: SAY }] });
    exact(whole.choices[0].message.content, "alpha beta");
    const stream = openai.chat.completions.stream({ model, messages: [{ role: "user", content: SAY }], stream_options: { include_usage: true } });
    exact(await stream.finalContent(), "alpha beta");
    assert.equal((await stream.totalUsage()).total_tokens, whole.usage.total_tokens);
  });
  await check(`openai chat tools ${model}`, async () => {
    const called = [];
    const note = (name) => (given) => { called.push(name); return `${name} done`; };
    const runner = openai.chat.completions.runTools({
      model, stream: true, messages: [{ role: "user", content: BOTH }],
      tools: tools.map((each) => ({ ...each, function: { ...each.function, function: note(each.function.name), parse: JSON.parse } })),
    });
    assert.ok(await runner.finalContent());
    assert.deepEqual(called, ["get_weather", "get_clock"]);
  });
  await check(`openai chat structured, image ${model}`, async () => {
    const made = await openai.chat.completions.parse({ model, messages: [{ role: "user", content: "Invent a person." }], response_format: zodResponseFormat(Person, "person") });
    Person.parse(made.choices[0].message.parsed);
    const seen = await openai.chat.completions.create({ model, messages: [{ role: "user", content: [
      { type: "text", text: "What?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }] }] });
    exact(seen.choices[0].message.content, "I see 1 image(s).");
  });
  for (const [name, provider] of [
    ["@ai-sdk/openai chat", (id) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).chat(id)],
    ["@ai-sdk/openai-compatible", (id) => createOpenAICompatible({ name: "scutum", baseURL: `${url}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true })(id)],
  ]) await vercel(`${name} ${model}`, provider(model), exact);
}

async function vercel(name, model, exact) {
  const tools = {
    get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "get_weather done" }),
    get_clock: tool({ inputSchema: z.object({ zone: z.string() }), execute: async () => "get_clock done" }),
  };
  await check(`${name}: text`, async () => {
    const whole = await generateText({ model, prompt: SAY, maxRetries: 0 });
    exact(whole.text, "alpha beta");
    assert.ok(whole.usage.outputTokens > 0);
    const stream = streamText({ model, prompt: SAY, maxRetries: 0, onError: ({ error }) => { throw error; } });
    let said = "";
    for await (const piece of stream.textStream) said += piece;
    assert.equal(said, whole.text);
    assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
  });
  await check(`${name}: tools`, async () => {
    const whole = await generateText({ model, prompt: BOTH, tools, stopWhen: stopAfter(3), maxRetries: 0 });
    assert.deepEqual(whole.steps[0].toolCalls.map((each) => each.toolName), ["get_weather", "get_clock"]);
    exact(whole.text, "The tools say: get_weather done; get_clock done");
    const stream = streamText({ model, prompt: BOTH, tools, stopWhen: stopAfter(3), maxRetries: 0, onError: ({ error }) => { throw error; } });
    exact(await stream.text, "The tools say: get_weather done; get_clock done");
  });
  await check(`${name}: structured`, async () => {
    const whole = await generateText({ model, prompt: "Invent a person.", output: Output.object({ schema: Person }), maxRetries: 0 });
    Person.parse(whole.output);
  });
  await check(`${name}: image`, async () => {
    const whole = await generateText({ model, maxRetries: 0, messages: [{ role: "user", content: [
      { type: "text", text: "What?" }, { type: "file", mediaType: "image/png", data: Buffer.from(png, "base64") }] }] });
    exact(whole.text, "I see 1 image(s).");
  });
}

for (const { model, simulated, kept } of responses) {
  const exact = (said, wanted) => assert.ok(simulated ? said : said === wanted, said);
  const tools = [
    { type: "function", name: "get_weather", parameters: city, strict: true },
    { type: "function", name: "get_clock", parameters: zone, strict: false },
  ];
  await check(`openai responses ${model}`, async () => {
    const whole = await openai.responses.create({ model, input: SAY });
    exact(whole.output_text, "alpha beta");
    const stream = openai.responses.stream({ model, input: BOTH, tools });
    let finished = 0;
    stream.on("response.function_call_arguments.done", () => { finished += 1; });
    const said = await stream.finalResponse();
    assert.equal(finished, 2);
    const results = said.output.filter((item) => item.type === "function_call")
      .map((item) => ({ type: "function_call_output", call_id: item.call_id, output: `${item.name} done` }));
    const items = said.output.map(({ parsed_arguments, ...item }) => item);
    const last = await openai.responses.create({ model, tools, input: [{ role: "user", content: BOTH }, ...items, ...results] });
    exact(last.output_text, "The tools say: get_weather done; get_clock done");
  });
  await check(`openai responses structured ${model}`, async () => {
    const made = await openai.responses.parse({ model, input: "Invent a person.", text: { format: zodTextFormat(Person, "person") } });
    Person.parse(made.output_parsed);
  });
  if (kept) await check(`openai responses kept ${model}`, async () => {
    const first = await openai.responses.create({ model, input: "My name is Ada." });
    const second = await openai.responses.create({ model, input: "What is my name?", previous_response_id: first.id });
    assert.equal(second.output_text, "Ada");
    assert.equal((await openai.responses.retrieve(second.id)).previous_response_id, first.id);
    await openai.responses.delete(second.id);
  });
  await vercel(`@ai-sdk/openai responses ${model}`, createOpenAI({ baseURL: `${url}/v1`, apiKey }).responses(model), exact);
}

for (const { model, simulated, thinks } of messages) {
  const exact = (said, wanted) => assert.ok(simulated ? said : said === wanted, said);
  const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
  const tools = [{ name: "get_weather", input_schema: city }, { name: "get_clock", input_schema: zone }];
  await check(`anthropic messages ${model}`, async () => {
    const asked = { model, max_tokens: 2000, messages: [{ role: "user", content: SAY }] };
    exact(textOf(await anthropic.messages.create(asked)), "alpha beta");
    exact(await anthropic.messages.stream(asked).finalText(), "alpha beta");
    const { max_tokens, ...counted } = asked;
    assert.ok((await anthropic.messages.countTokens(counted)).input_tokens > 0);
  });
  await check(`anthropic messages tools ${model}`, async () => {
    const asked = { model, max_tokens: 5000, tools, ...(thinks ? { thinking: thinks } : {}) };
    const turns = [{ role: "user", content: BOTH }];
    const said = await anthropic.messages.stream({ ...asked, messages: turns }).finalMessage();
    const calls = said.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(calls.map((call) => call.name), ["get_weather", "get_clock"]);
    assert.equal(typeof calls[0].input.city, "string");
    turns.push({ role: "assistant", content: said.content });
    turns.push({ role: "user", content: calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: `${call.name} done` })) });
    exact(textOf(await anthropic.messages.create({ ...asked, messages: turns })), "The tools say: get_weather done; get_clock done");
  });
  await vercel(`@ai-sdk/anthropic ${model}`, createAnthropic({ baseURL: `${url}/v1`, apiKey })(model), exact);
}

for (const model of embeddings) {
  await check(`embeddings ${model}`, async () => {
    const made = await openai.embeddings.create({ model, input: ["a", "b"] });
    assert.equal(typeof made.data[1].embedding[0], "number");
    const floats = await openai.embeddings.create({ model, input: "b", encoding_format: "float" });
    assert.equal(floats.data[0].embedding.length, made.data[1].embedding.length);
    for (const provider of [createOpenAI({ baseURL: `${url}/v1`, apiKey }).embedding(model),
      createOpenAICompatible({ name: "scutum", baseURL: `${url}/v1`, apiKey }).embeddingModel(model)]) {
      assert.equal((await embedMany({ model: provider, values: ["a", "b"] })).embeddings.length, 2);
    }
  });
}

console.log(`${passed} passed, ${failures} failed`);
process.exit(failures ? 1 : 0);
