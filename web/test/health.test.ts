import { describe, expect, it } from "vitest";
import type { KeyStatus, Status, Totals } from "../src/api/types";
import { healthOf } from "../src/state/health";

const key = (id: string, more: Partial<KeyStatus> = {}): KeyStatus => ({
  id,
  label: id,
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
  ...more,
});

const status = (keys: KeyStatus[] | null, more: Partial<Status> = {}): Status => ({
  version: "1",
  now_ms: 0,
  started_at_ms: 0,
  uptime_s: 0,
  state: "working",
  totals: {} as Totals,
  signed_in: keys !== null,
  ...(keys === null ? {} : { upstreams: [{ name: "u", formats: [], models: [], keys }] }),
  ...more,
});

describe("the status line", () => {
  it("says that all is well when every key is ready or on probation", () => {
    expect(healthOf(status([key("a"), key("b", { state: "half_open" })]))).toMatchObject({ kind: "working", tone: "ok" });
  });

  it("counts cooling keys and names the one that is back first", () => {
    const health = healthOf(
      status([key("a"), key("b", { state: "cooling", back_in_s: 40 }), key("c", { state: "cooling", back_in_s: 7 })]),
    );
    expect(health).toMatchObject({ kind: "cooling", tone: "warn", resting: 2, keys: 3, next: { id: "c" } });
  });

  it("does not call a refused key cooling", () => {
    expect(healthOf(status([key("a"), key("b", { state: "refused" })]))).toMatchObject({ kind: "resting", next: null });
  });

  it("raises the alarm when no key is usable", () => {
    expect(healthOf(status([key("a", { state: "open", back_in_s: 3 })]))).toMatchObject({ kind: "down", tone: "bad" });
  });

  it("says that there is no upstream", () => {
    expect(healthOf(status([], { upstreams: [] }))).toMatchObject({ kind: "no_upstream", tone: "bad" });
  });

  it("puts the shutdown before everything else", () => {
    expect(healthOf(status([key("a")], { state: "draining", in_flight: 2 }))).toMatchObject({ kind: "draining", inFlight: 2 });
  });

  it.each([
    ["working", "working"],
    ["cooling", "cooling_bare"],
    ["down", "down_bare"],
  ] as const)("tells strangers about %s no more than that", (state, kind) => {
    expect(healthOf(status(null, { state }))).toMatchObject({ kind });
  });
});
