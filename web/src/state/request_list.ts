/**
 * The list that holds still: what is shown, what waits behind the "N new" pill.
 *
 * While a row is open, hovered or focused, new records wait; otherwise they go in at once. Rows
 * are ordered by id, which is the order of arrival at the proxy, so a slow request takes its place
 * further down.
 */

import type { RequestRecord } from "../api/types";

export interface RequestList {
  /** Newest first. */
  readonly shown: readonly RequestRecord[];
  /** Newest first; none of them is in `shown`. */
  readonly waiting: readonly RequestRecord[];
  /** How many rows are kept; grows when older ones are asked for. */
  readonly limit: number;
}

export const PAGE = 50;

export const EMPTY: RequestList = { shown: [], waiting: [], limit: PAGE };

/** Whether the client got no or only half an answer, through no fault of its own. */
export function isFailed(record: RequestRecord): boolean {
  return (
    record.outcome === "rate_limited" ||
    record.outcome === "upstream_error" ||
    record.outcome === "cut"
  );
}

/** Whether the client got its answer only because something else was tried. */
export function isRescued(record: RequestRecord): boolean {
  return record.outcome === "ok" && (record.attempts?.length ?? 0) > 1;
}

function merge(
  a: readonly RequestRecord[],
  b: readonly RequestRecord[],
  limit: number,
): RequestRecord[] {
  const byId = new Map([...a, ...b].map((record) => [record.id, record]));
  return [...byId.values()].sort((x, y) => (x.id < y.id ? 1 : -1)).slice(0, limit);
}

function missing(list: RequestList, records: readonly RequestRecord[]): RequestRecord[] {
  const known = new Set(list.shown.map((record) => record.id));
  return records.filter((record) => !known.has(record.id));
}

/** Take in finished requests. */
export function arrive(
  list: RequestList,
  records: readonly RequestRecord[],
  held: boolean,
): RequestList {
  const fresh = missing(list, records);
  if (fresh.length === 0) return list;
  if (held) return { ...list, waiting: merge(fresh, list.waiting, PAGE) };
  return { ...list, shown: merge(fresh, list.shown, list.limit) };
}

/**
 * Take in the newest page after a pause. If it does not reach back to what is shown, records in
 * between are unknown; so unless the list is held, it starts anew instead of hiding the gap.
 */
export function resync(
  list: RequestList,
  page: readonly RequestRecord[],
  held: boolean,
): RequestList {
  const overlaps = missing(list, page).length < page.length;
  if (overlaps || held || page.length < PAGE) return arrive(list, page, held);
  return { ...EMPTY, shown: merge(page, list.waiting, PAGE) };
}

/** Let in what waits. */
export function release(list: RequestList): RequestList {
  if (list.waiting.length === 0) return list;
  return { ...list, shown: merge(list.waiting, list.shown, list.limit), waiting: [] };
}

/** Append a page of older records and keep room for it. */
export function extend(list: RequestList, older: readonly RequestRecord[]): RequestList {
  const limit = list.shown.length + Math.max(older.length, PAGE);
  return { ...list, shown: merge(list.shown, older, limit), limit };
}
