import { describe, expect, it } from "vitest";
import type { Outcome, RequestRecord } from "../src/api/types";
import { EMPTY, PAGE, type RequestList, arrive, extend, release, resync } from "../src/state/request_list";

const id = (number: number) => String(number).padStart(26, "0");

function record(number: number, outcome: Outcome = "ok", attempts = 1): RequestRecord {
  const place = { upstream: "u", key: "k" };
  return {
    id: id(number),
    at_ms: number,
    format: "chat",
    method: "POST",
    path: "/v1/chat/completions",
    outcome,
    attempts: Array.from({ length: attempts }, () => place),
  };
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => record(from + at));

const ids = (records: readonly RequestRecord[]) => records.map((one) => Number(one.id));

const shown = (...numbers: number[]): RequestList => arrive(EMPTY, numbers.map((number) => record(number)), false);

describe("a list nobody looks at", () => {
  it("takes new requests in at once, newest first", () => {
    expect(ids(arrive(shown(1, 2), [record(3), record(4)], false).shown)).toEqual([4, 3, 2, 1]);
  });

  it("puts a slow request where it arrived, not where it ended", () => {
    expect(ids(arrive(shown(1, 3), [record(2)], false).shown)).toEqual([3, 2, 1]);
  });

  it("keeps the latest fifty", () => {
    const list = arrive(EMPTY, range(1, PAGE + 7), false);
    expect(list.shown).toHaveLength(PAGE);
    expect(Number(list.shown.at(-1)?.id)).toBe(8);
  });

  it("shows a request that comes twice once", () => {
    expect(ids(arrive(shown(1, 2), [record(2)], false).shown)).toEqual([2, 1]);
  });
});

describe("a list that is held", () => {
  it("does not move a row; new requests wait", () => {
    const before = shown(1, 2);
    const after = arrive(before, [record(3)], true);
    expect(after.shown).toBe(before.shown);
    expect(ids(after.waiting)).toEqual([3]);
  });

  it("lets the waiting in when released", () => {
    const held = arrive(arrive(shown(1), [record(2)], true), [record(3)], true);
    const free = release(held);
    expect(ids(free.shown)).toEqual([3, 2, 1]);
    expect(free.waiting).toEqual([]);
  });

  it("does not let one that waits be counted twice", () => {
    const held = arrive(arrive(shown(1), [record(2)], true), [record(2)], true);
    expect(ids(held.waiting)).toEqual([2]);
  });

  it("stays the same object when nothing waits", () => {
    const list = shown(1);
    expect(release(list)).toBe(list);
    expect(arrive(list, [record(1)], true)).toBe(list);
  });

  it("bounds what waits", () => {
    expect(arrive(shown(1), range(2, 500), true).waiting).toHaveLength(PAGE);
  });
});

describe("after a pause", () => {
  it("closes the gap when the newest page reaches back to it", () => {
    expect(ids(resync(shown(1, 2), [record(4), record(3), record(2)], false).shown)).toEqual([4, 3, 2, 1]);
  });

  it("starts anew rather than hide requests it never saw", () => {
    const list = resync(shown(1, 2), range(100, 99 + PAGE), false);
    expect(ids(list.shown)).not.toContain(2);
    expect(list.shown).toHaveLength(PAGE);
  });

  it("moves nothing while it is held", () => {
    const before = shown(1, 2);
    expect(resync(before, range(100, 99 + PAGE), true).shown).toBe(before.shown);
  });
});

describe("older requests", () => {
  it("are appended and stay while new ones come", () => {
    const first = arrive(EMPTY, range(101, 150), false);
    const more = extend(first, range(51, 100));
    expect(more.shown).toHaveLength(2 * PAGE);
    expect(Number(arrive(more, [record(151)], false).shown.at(-1)?.id)).toBe(52);
  });
});
