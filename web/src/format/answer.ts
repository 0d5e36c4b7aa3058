/** Reads the text out of what a model answers, in each format, streamed or whole. */

export type Format = "chat" | "messages" | "responses";

export const FORMATS: readonly Format[] = ["chat", "messages", "responses"];

/** Read along a path of names and positions; undefined where it leads nowhere. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<string | number, unknown>)[name];
  }
  return found;
}

const asText = (value: unknown): string => (typeof value === "string" ? value : "");
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** What one streamed event adds. */
export function textOfEvent(format: Format, event: unknown): string {
  switch (format) {
    case "chat":
      return asText(at(event, "choices", 0, "delta", "content"));
    case "messages":
      return asText(at(event, "delta", "text"));
    case "responses":
      return at(event, "type") === "response.output_text.delta" ? asText(at(event, "delta")) : "";
  }
}

/** The text of a whole answer. */
export function textOfAnswer(format: Format, answer: unknown): string {
  switch (format) {
    case "chat":
      return asText(at(answer, "choices", 0, "message", "content"));
    case "messages":
      return asList(at(answer, "content")).map((block) => asText(at(block, "text"))).join("");
    case "responses":
      return asList(at(answer, "output"))
        .flatMap((item) => asList(at(item, "content")))
        .map((part) => asText(at(part, "text")))
        .join("");
  }
}

/** The words of an error body or event; null where there is no error. */
export function errorOf(value: unknown): string | null {
  const error = at(value, "error") ?? at(value, "response", "error");
  if (error === undefined || error === null) {
    // Our own refusals are problem documents.
    return asText(at(value, "detail")) || null;
  }
  return asText(error) || asText(at(error, "message")) || JSON.stringify(error);
}

/** Cuts a stream of server-sent events into the JSON of their data. */
export class EventReader {
  #rest = "";

  /** The events that `text` completes; what is no JSON (`[DONE]`) is left out. */
  feed(text: string): unknown[] {
    const blocks = (this.#rest + text.replaceAll("\r\n", "\n")).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => {
      const data = block
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      if (!data.startsWith("{")) return [];
      try {
        return [JSON.parse(data) as unknown];
      } catch {
        return []; // not ours to judge here: the proxy's record says what was wrong
      }
    });
  }
}
