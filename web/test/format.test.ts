import { describe, expect, it } from "vitest";
import { bytes, count, share } from "../src/format/number";
import { clock, countdown, span, took } from "../src/format/time";
import { segmentsOf, scaleOf } from "../src/format/time_bar";

describe("counts", () => {
  it.each([
    [null, "–", "–"],
    [undefined, "–", "–"],
    [0, "0", "0"],
    [999, "999", "999"],
    [9_999, "9,999", "9,999"],
    [10_000, "10K", "1万"],
    [12_345, "12.3K", "1.23万"],
    [999_999, "999K", "99.9万"],
    [1_000_000, "1M", "100万"],
    [48_212_009, "48.2M", "4821万"],
    [99_999_999, "99.9M", "9999万"],
    [100_000_000, "100M", "1亿"],
    [1_284_112_877, "1.28B", "12.8亿"],
    [2_000_000_000_000, "2000B", "20,000亿"],
  ])("%s is %s in English and %s in Chinese", (value, english, chinese) => {
    expect(count(value, "en")).toBe(english);
    expect(count(value, "zh")).toBe(chinese);
  });
});

describe("the success rate", () => {
  it.each([
    [0, 0, "–"],
    [5, 5, "100%"],
    [99_999, 100_000, "99.99%"],
    [2, 3, "66.6%"],
    [0, 7, "0%"],
  ])("of %i in %i is %s: cut, so that 100%% means all", (part, whole, expected) => {
    expect(share(part, whole)).toBe(expected);
  });
});

describe("sizes and times", () => {
  it("shows bytes in decimal units", () => {
    expect([null, 0, 999, 3_810, 120_400_000, 2e15].map((value) => bytes(value))).toEqual([
      "–", "0 B", "999 B", "3.81 kB", "120 MB", "2000 TB",
    ]);
  });

  it("shows what something took with fitting precision", () => {
    expect([null, 0, 0.4, 812.4, 999.6, 1_240, 12_400, 59_949, 59_951, 125_000, 3_660_000].map(took)).toEqual([
      "–", "0 ms", "<1 ms", "812 ms", "1.00 s", "1.24 s", "12.4 s", "59.9 s", "1 m 00 s", "2 m 05 s", "1 h 01 m",
    ]);
  });

  it("counts down to 00:00 and rounds up, so that zero means now", () => {
    expect([36.2, 0.01, 0, -5, 3_723].map(countdown)).toEqual(["00:37", "00:01", "00:00", "00:00", "1:02:03"]);
  });

  it("shows a span in its two largest units", () => {
    expect(span(0, "en")).toBe("0 s");
    expect(span(61, "en")).toBe("1 min 1 s");
    expect(span(3 * 86_400 + 4 * 3600 + 59, "zh")).toBe("3 天 4 小时");
    expect(span(86_400 + 30, "en")).toBe("1 d");
  });

  it("adds the date to a time of another day", () => {
    const at = new Date(2026, 10, 23, 9, 5, 7);
    expect(clock(at.getTime(), at)).toBe("09:05:07");
    expect(clock(at.getTime(), new Date(2026, 10, 24, 0, 0, 1))).toBe("11-23 09:05:07");
  });
});

describe("the time bar", () => {
  const place = { upstream: "u", key: "k" };

  it("lays wait, connect, think and answer end to end", () => {
    const attempt = { ...place, status: 200, start_ms: 200, wait_ms: 100, connect_ms: 50, first_byte_ms: 300, total_ms: 800 };
    expect(segmentsOf(attempt, 1000)).toEqual([
      { phase: "wait", from: 100, length: 100 },
      { phase: "connect", from: 200, length: 50 },
      { phase: "think", from: 250, length: 250 },
      { phase: "answer", from: 500, length: 500 },
    ]);
  });

  it("shows a refused attempt as failed from its connection on", () => {
    const attempt = { ...place, status: 429, fault: "rate_limited", connect_ms: 100, first_byte_ms: 200, total_ms: 200 };
    expect(segmentsOf(attempt, 1000).map((segment) => segment.phase)).toEqual(["connect", "failed"]);
  });

  it("shows an answer that broke off as an answer with a failed end", () => {
    const attempt = { ...place, status: 200, fault: "stream_cut", first_byte_ms: 200, total_ms: 900 };
    expect(segmentsOf(attempt, 1000).map((segment) => segment.phase)).toEqual(["think", "answer", "failed"]);
  });

  it("marks the end of a connecting that failed", () => {
    const attempt = { ...place, fault: "connect_refused", connect_ms: 300, total_ms: 300 };
    expect(segmentsOf(attempt, 1000).map((segment) => segment.phase)).toEqual(["connect", "failed"]);
  });

  it("never draws beyond its end, and makes the quickest phase visible", () => {
    const attempt = { ...place, start_ms: 999.9, total_ms: 0.1, connect_ms: 0.05 };
    for (const { from, length } of segmentsOf(attempt, 1000)) {
      expect(from + length).toBeLessThanOrEqual(1000);
      expect(length).toBeGreaterThanOrEqual(4);
    }
  });

  it("has a scale even for a record without times", () => {
    expect(scaleOf({ id: "1", at_ms: 0, format: "chat", method: "POST", path: "/", outcome: "refused" })).toBe(1);
  });
});
