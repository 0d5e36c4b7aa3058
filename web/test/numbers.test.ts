import { describe, expect, it } from "vitest";
import type { Sums } from "../src/api/types";
import { pathsOf } from "../src/components/sparkline";
import { points, relative } from "../src/format/change";
import { sparkOf, successOf } from "../src/format/metrics";
import { dollars } from "../src/format/money";
import { gapsOf, ticksOf } from "../src/format/time_bar";

const sums = (more: Partial<Sums>): Sums =>
  ({ requests: 0, ok: 0, client_gone: 0, client_errors: 0, first_token_p50_ms: null, ...more }) as Sums;

describe("success", () => {
  it("leaves out faulty requests and clients that hung up", () => {
    expect(successOf(sums({ requests: 10, ok: 6, client_errors: 2, client_gone: 1 }))).toBeCloseTo(6 / 7);
  });

  it("is unknown, not zero, where nobody's request counts", () => {
    expect(successOf(sums({ requests: 2, client_errors: 2 }))).toBeNull();
  });
});

describe("the change", () => {
  it.each([
    [112, 100, "+12%", "up"],
    [88, 100, "−12%", "down"],
    [100, 100, "±0", "same"],
    [5_000, 100, "×50", "up"],
  ] as const)("from %2$i to %1$i is %s", (now, before, text, direction) => {
    expect(relative(now, before)).toEqual({ text, direction });
  });

  it("is not made up where nothing was before", () => {
    expect(relative(5, 0)).toBeNull();
    expect(relative(null, 3)).toBeNull();
    expect(points(null, 1)).toBeNull();
  });

  it("of a share is told in points", () => {
    expect(points(0.995, 0.998)?.text).toBe("−0.3 pt");
  });
});

describe("money", () => {
  it.each([
    [null, "–"],
    [0, "$0"],
    [12_400_000_000, "$12.40"],
    [3_100_000, "$0.0031"],
    [450, "<$0.000001"],
    [1_234_560_000_000, "$1,234.56"],
  ])("%s billionths are %s", (nano, expected) => {
    expect(dollars(nano)).toBe(expected);
  });
});

describe("a sparkline", () => {
  it("starts at zero and reaches the top", () => {
    expect(pathsOf([0, 5, 10])).toEqual(["M0.0 24.0L50.0 13.0L100.0 2.0"]);
  });

  it("has a gap where the number is unknown", () => {
    expect(pathsOf([1, null, 1, 1])).toHaveLength(2);
    expect(pathsOf([null, null])).toEqual([]);
    expect(sparkOf("firstToken", [sums({}), sums({ first_token_p50_ms: 3 })])).toEqual([null, 3]);
  });
});

describe("the proxy's own time", () => {
  const place = { upstream: "u", key: "k" };
  const base = { id: "1", at_ms: 0, format: "chat", method: "POST", path: "/", outcome: "ok" } as const;

  it("is what was neither an attempt nor a wait", () => {
    const attempts = [
      { ...place, start_ms: 2, total_ms: 100 },
      { ...place, start_ms: 153, wait_ms: 50, total_ms: 400 },
    ];
    expect(gapsOf({ ...base, attempts, total_ms: 555 })).toEqual({ queue: 2, own: 5 });
  });

  it("is unknown where the whole is", () => {
    expect(gapsOf(base).own).toBeNull();
  });

  it("is measured on a scale with few round marks", () => {
    expect(ticksOf(3_550)).toEqual([1000, 2000, 3000]);
    expect(ticksOf(0.7).length).toBeLessThanOrEqual(7);
  });
});
