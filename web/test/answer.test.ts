import { describe, expect, it } from "vitest";
import { EventReader, errorOf, textOfAnswer, textOfEvent } from "../src/format/answer";

const read = (...parts: string[]) => {
  const reader = new EventReader();
  return parts.flatMap((part) => reader.feed(part));
};

describe("a streamed answer", () => {
  it("is read wherever its pieces are cut", () => {
    const stream = 'data: {"a":1}\n\n: still here\n\nevent: x\r\ndata: {"b":\ndata: 2}\n\ndata: [DONE]\n\n';
    for (const cut of [1, 9, 16, 20, 40]) {
      expect(read(stream.slice(0, cut), stream.slice(cut))).toEqual([{ a: 1 }, { b: 2 }]);
    }
  });

  it("has its text in each format's place", () => {
    expect(textOfEvent("chat", { choices: [{ delta: { content: "Hi" } }] })).toBe("Hi");
    expect(textOfEvent("chat", { choices: [] })).toBe("");
    expect(textOfEvent("messages", { type: "content_block_delta", delta: { type: "text_delta", text: "Hi" } })).toBe("Hi");
    expect(textOfEvent("responses", { type: "response.output_text.delta", delta: "Hi" })).toBe("Hi");
    expect(textOfEvent("responses", { type: "response.completed", response: { error: null } })).toBe("");
  });
});

describe("a whole answer", () => {
  it("has its text in each format's place", () => {
    expect(textOfAnswer("chat", { choices: [{ message: { content: "Hi" } }] })).toBe("Hi");
    expect(textOfAnswer("messages", { content: [{ type: "thinking" }, { type: "text", text: "Hi" }] })).toBe("Hi");
    expect(textOfAnswer("responses", { output: [{ content: [{ text: "Hi" }] }] })).toBe("Hi");
    expect(textOfAnswer("chat", null)).toBe("");
  });
});

describe("an error", () => {
  it.each([
    [{ error: { message: "no" } }, "no"],
    [{ type: "error", error: { type: "overloaded_error", message: "busy" } }, "busy"],
    [{ error: "no" }, "no"],
    [{ type: "response.failed", response: { error: { message: "no" } } }, "no"],
    [{ title: "Not Found", status: 404, detail: "there is no such key" }, "there is no such key"],
    [{ choices: [] }, null],
    [{ type: "response.completed", response: { error: null } }, null],
  ])("%o says %s", (value, expected) => {
    expect(errorOf(value)).toBe(expected);
  });
});
