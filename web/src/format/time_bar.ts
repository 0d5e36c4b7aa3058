/** The time bar of a request: where each attempt's phases lie between arrival and end. */

import type { Attempt, RequestRecord } from "../api/types";

export type Phase = "wait" | "connect" | "think" | "answer" | "failed";

/** A stretch of the bar; `from` and `length` in thousandths of its width. */
export interface Segment {
  phase: Phase;
  from: number;
  length: number;
}

/** A phase is drawn at least this wide, so that a quick one can be seen. */
const MIN_LENGTH = 4;

export const WIDTH = 1000;

/** Length of the mark at the end of what went well until it broke off. */
const END_MARK = 12;

function isBegun(attempt: Attempt): boolean {
  return attempt.status !== undefined && attempt.status < 300 && attempt.first_byte_ms !== undefined;
}

/** The time that the whole bar stands for, ms; never 0. */
export function scaleOf(record: RequestRecord): number {
  const ends = (record.attempts ?? []).map(
    (attempt) => (attempt.start_ms ?? 0) + (attempt.total_ms ?? 0),
  );
  return Math.max(record.total_ms ?? 0, ...ends, 1);
}

export function segmentsOf(attempt: Attempt, scaleMs: number): Segment[] {
  const start = attempt.start_ms ?? 0;
  const end = start + (attempt.total_ms ?? 0);
  const connected = start + Math.min(attempt.connect_ms ?? 0, end - start);
  const firstByte =
    attempt.first_byte_ms === undefined ? end : Math.min(start + attempt.first_byte_ms, end);
  // An answer that broke off flowed until its end, which is marked; so is a failed connecting's.
  const flowed = attempt.fault === undefined || isBegun(attempt);
  const phases: [Phase, number, number][] = [
    ["wait", Math.max(0, start - (attempt.wait_ms ?? 0)), start],
    ["connect", start, connected],
    [flowed ? "think" : "failed", connected, firstByte],
    [flowed ? "answer" : "failed", firstByte, end],
  ];
  const isMarked = flowed || connected >= end;
  if (isMarked && attempt.fault !== undefined && attempt.fault !== "client_gone") {
    phases.push(["failed", end - (scaleMs * END_MARK) / WIDTH, end]);
  }
  return phases
    .filter(([, from, to]) => to > from)
    .map(([phase, from, to]) => {
      const length = Math.max(((to - from) / scaleMs) * WIDTH, MIN_LENGTH);
      return { phase, from: Math.min((from / scaleMs) * WIDTH, WIDTH - length), length };
    });
}

/** What lay between the attempts, ms: `queue` before the first, `own` all that was neither an attempt nor a wait. */
export function gapsOf(record: RequestRecord): { queue: number; own: number | null } {
  const attempts = record.attempts ?? [];
  const first = attempts[0];
  const queue = first === undefined ? 0 : Math.max(0, (first.start_ms ?? 0) - (first.wait_ms ?? 0));
  if (record.total_ms === undefined) return { queue, own: null };
  const elsewhere = attempts.reduce((sum, one) => sum + (one.total_ms ?? 0) + (one.wait_ms ?? 0), 0);
  return { queue, own: Math.max(0, record.total_ms - elsewhere) };
}

/** Where the scale is marked, ms: round steps, three to seven of them. */
export function ticksOf(scaleMs: number): number[] {
  const power = 10 ** Math.floor(Math.log10(scaleMs));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((one) => scaleMs / one <= 7) ?? 2 * power;
  return Array.from({ length: Math.floor(scaleMs / step) }, (_, at) => (at + 1) * step);
}
