import { describe, expect, it } from "vitest";
import type { Outcome, RequestRecord } from "../src/api/types";
import { type Filters, asParameters, matches } from "../src/state/filters";

function record(more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    id: "01",
    at_ms: 0,
    format: "chat",
    method: "POST",
    path: "/v1/chat/completions",
    outcome: "ok",
    status: 200,
    model: "gpt-5",
    upstream: "upstream-1",
    key: "key-1 …ab12",
    caller: "phone",
    client: "OpenAI/Python 3.54.0",
    attempts: [{ upstream: "upstream-1", key: "key-1 …ab12" }],
    ...more,
  };
}

const limited = { upstream: "u", key: "k", fault: "rate_limited", reason: "Please try again in 20s" };
const only = (facets: Filters["facets"], show: Filters["show"] = "all"): Filters => ({ show, facets });

describe("kinds of ending", () => {
  it("count as rescued only what succeeded after another try", () => {
    const attempts = [limited, { upstream: "u", key: "k" }];
    expect(matches(record({ attempts }), only({}, "rescued"))).toBe(true);
    expect(matches(record(), only({}, "rescued"))).toBe(false);
    expect(matches(record({ attempts, outcome: "upstream_error" }), only({}, "rescued"))).toBe(false);
  });

  it.each([
    ["ok", false],
    ["client_error", false],
    ["client_gone", false],
    ["refused", false],
    ["rate_limited", true],
    ["upstream_error", true],
    ["cut", true],
  ] as const)("take %s for failed: %s", (outcome: Outcome, expected) => {
    expect(matches(record({ outcome }), only({}, "failed"))).toBe(expected);
    expect(matches(record({ outcome }), only({}))).toBe(true);
  });

  it("judge a stream slow by its first content, a plain answer by its end", () => {
    expect(matches(record({ first_token_ms: 900, total_ms: 60_000 }), only({}, "slow"))).toBe(false);
    expect(matches(record({ first_token_ms: 10_000, total_ms: 11_000 }), only({}, "slow"))).toBe(true);
    expect(matches(record({ total_ms: 10_000 }), only({}, "slow"))).toBe(true);
  });
});

describe("values", () => {
  it.each([
    [{ model: "gpt-5" }, true],
    [{ model: "gpt" }, false],
    [{ status: "2xx" }, true],
    [{ status: "200" }, true],
    [{ status: "4xx" }, false],
    [{ client: "openai/python" }, true],
    [{ caller: "laptop" }, false],
    [{ upstream: "upstream-1", key: "key-1 …ab12" }, true],
    [{ upstream: "upstream-1", key: "key-2 …77fe" }, false],
    [{ fault: "rate_limited" }, false],
    [{ outcome: "ok" }, true],
  ])("%o: %s", (facets, expected) => {
    expect(matches(record(), only(facets))).toBe(expected);
  });

  it("look for words in what an attempt met, too, whatever their case", () => {
    expect(matches(record({ attempts: [limited] }), only({ q: "TRY AGAIN" }))).toBe(true);
    expect(matches(record({ attempts: [limited] }), only({ fault: "rate_limited" }))).toBe(true);
    expect(matches(record(), only({ q: "moon" }))).toBe(false);
  });
});

describe("what the proxy is asked", () => {
  it("carries every filter by the proxy's name for it", () => {
    expect(asParameters(only({ q: "a b", model: "gpt-5" }, "rescued")).toString()).toBe("q=a+b&model=gpt-5&rescued=1");
    expect(asParameters(only({}, "failed")).toString()).toBe("outcome=failed");
    expect(asParameters(only({}, "slow")).toString()).toBe("slow=1");
    expect(asParameters(only({})).toString()).toBe("");
  });
});
