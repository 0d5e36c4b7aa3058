import { render } from "preact";
import { afterEach, describe, expect, it } from "vitest";
import type { KeyStatus, RequestRecord } from "../src/api/types";
import { Refusal } from "../src/api/client";
import { Steps } from "../src/components/detail/steps";
import { TrialResult } from "../src/components/trial_result";
import { KeyCause } from "../src/components/upstreams/key_cause";
import { query, setQuery } from "../src/state/address";
import { isPlainKey } from "../src/state/keyboard";
import { chooseLanguage } from "../src/state/preferences";
import { Resource } from "../src/state/resource";
import type { TrialState } from "../src/state/trial";

const place = document.body;

function shown(node: preact.ComponentChild): string {
  render(node, place);
  return place.textContent ?? "";
}

afterEach(() => {
  render(null, place);
  chooseLanguage("en");
});

const KEY: KeyStatus = {
  id: "upstream-1/key-1",
  label: "key-1 …ab12",
  state: "ready",
  back_in_s: null,
  cause: null,
  source: null,
  models: {},
  in_flight: 0,
  attempts: 0,
  failures: 0,
  rate_limited: 0,
  recent: [],
};

const RECORD: RequestRecord = {
  id: "01",
  at_ms: 0,
  format: "chat",
  method: "POST",
  path: "/v1/chat/completions",
  outcome: "ok",
  upstream: "upstream-2",
  key: "key-1 …77fe",
  total_ms: 812,
};

const TRIAL: TrialState = {
  phase: "answered",
  startedAt: 0,
  firstTextMs: 40,
  totalMs: 900,
  text: "Hello",
  error: null,
  status: 200,
  record: RECORD,
};

describe("a test call", () => {
  it("that works says how fast and through which key", () => {
    expect(shown(<TrialResult state={TRIAL} />)).toContain("Works: 812 ms via upstream-2 key-1 …77fe");
  });

  it("that fails names the cause and what to do, in both languages", () => {
    const attempts = [{ upstream: "upstream-2", key: "key-1 …77fe", fault: "quota", reason: "no money" }];
    const record: RequestRecord = { ...RECORD, outcome: "upstream_error", error: "the key is out of credit: no money", attempts };
    const state: TrialState = { ...TRIAL, phase: "failed", text: "", status: 402, record };
    expect(shown(<TrialResult state={state} />)).toMatch(/Failed: out of credit.*Top up the account/);
    chooseLanguage("zh");
    expect(shown(<TrialResult state={state} />)).toMatch(/失败：额度用尽.*密钥额度用尽：no money.*充值/);
  });
});

describe("a key", () => {
  it("that rests says until when, why and by whose word", () => {
    const status: KeyStatus = { ...KEY, state: "cooling", back_in_s: 37, cause: "rate_limited", source: "guess" };
    expect(shown(<KeyCause status={status} at={performance.now()} />)).toMatch(/back in ~00:3\d.*rate limited.*estimated/);
  });

  it("tells what is left of its quota where the provider does", () => {
    const status: KeyStatus = { ...KEY, quota: { requests: { left: 12, limit: 500, reset_s: 3 }, tokens: { left: 30_000, limit: null, reset_s: null } } };
    expect(shown(<KeyCause status={status} at={0} />)).toContain("requests 12 / 500tokens 30K");
  });
});

it("markup in a provider's words stays text", () => {
  const evil = "<img src=x onerror=alert(1)>";
  const attempts = [{ upstream: evil, key: evil, model: evil, fault: "client_fault", reason: evil }];
  expect(shown(<Steps record={{ ...RECORD, attempts }} />)).toContain(evil);
  expect(place.querySelector("img")).toBeNull();
});

describe("the address", () => {
  it("keeps what is chosen and drops what is not", () => {
    setQuery({ model: "a&b", show: "failed" });
    expect(new URLSearchParams(location.search).get("model")).toBe("a&b");
    expect(query.value).toMatchObject({ model: "a&b", show: "failed" });
    setQuery({ model: null, show: "" });
    expect(location.search).toBe("");
  });
});

describe("a panel's data", () => {
  it("is missing where the proxy has no such address, and comes when it has", async () => {
    let answer: () => Promise<number> = () => Promise.reject(new Refusal(404, "", null));
    const panel = new Resource(() => answer(), null);
    await panel.refresh();
    expect(panel.isMissing.value).toBe(true);
    answer = () => Promise.resolve(7);
    await panel.refresh();
    expect([panel.isMissing.value, panel.data.value]).toEqual([false, 7]);
  });

  it("stays as it was while the proxy cannot be reached", async () => {
    let answer: () => Promise<number> = () => Promise.resolve(7);
    const panel = new Resource(() => answer(), null);
    await panel.refresh();
    answer = () => Promise.reject(new TypeError("no network"));
    await panel.refresh();
    expect([panel.isMissing.value, panel.data.value]).toEqual([false, 7]);
  });

  it("ignores an answer that comes after a newer question", async () => {
    const answers: ((value: number) => void)[] = [];
    const panel = new Resource(() => new Promise<number>((resolve) => answers.push(resolve)), null);
    const [old, fresh] = [panel.refresh(), panel.refresh()];
    answers[1]?.(2);
    answers[0]?.(1);
    await Promise.all([old, fresh]);
    expect(panel.data.value).toBe(2);
  });
});

describe("a letter that acts on the page", () => {
  const pressed = (target: EventTarget, more: KeyboardEventInit = {}): boolean => {
    let is = false;
    target.addEventListener("keydown", (event) => (is = isPlainKey(event as KeyboardEvent, "p")), { once: true });
    target.dispatchEvent(new KeyboardEvent("keydown", { key: "p", ...more }));
    return is;
  };

  it("does so alone, and not while somebody types", () => {
    expect(pressed(document.body)).toBe(true);
    expect(pressed(document.body, { ctrlKey: true })).toBe(false);
    expect(pressed(document.createElement("input"))).toBe(false);
  });
});
