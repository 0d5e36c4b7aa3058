/**
 * Which requests are looked for: kept in the page's address, sent to the proxy for what lies
 * further back, and applied here to what arrives live.
 */

import { computed } from "@preact/signals";
import type { RequestRecord } from "../api/types";
import { query, setQuery } from "./address";
import { isFailed, isRescued } from "./request_list";

export const SHOWS = ["all", "failed", "rescued", "slow"] as const;
export type Show = (typeof SHOWS)[number];

/** What may stand in the address beside `show`, by the proxy's names for it. */
export const FACETS = [
  "q",
  "model",
  "upstream",
  "key",
  "caller",
  "client",
  "status",
  "fault",
  "outcome",
] as const;
export type Facet = (typeof FACETS)[number];

export interface Filters {
  show: Show;
  facets: Readonly<Partial<Record<Facet, string>>>;
}

/** The proxy's own idea of slow: so long to the first content, or to the end of a plain answer. */
const SLOW_MS = 10_000;

export const filters = computed<Filters>(() => {
  const facets: Partial<Record<Facet, string>> = {};
  for (const facet of FACETS) {
    const value = query.value[facet];
    if (value) facets[facet] = value;
  }
  return { show: SHOWS.find((name) => name === query.value["show"]) ?? "all", facets };
});

export const isFiltered = computed(
  () => filters.value.show !== "all" || Object.keys(filters.value.facets).length > 0,
);

export function chooseShow(show: Show): void {
  setQuery({ show: show === "all" ? null : show });
}

export function chooseFacet(facet: Facet, value: string | null): void {
  setQuery({ [facet]: value });
}

export function clearFilters(): void {
  setQuery(Object.fromEntries(["show", ...FACETS].map((name) => [name, null])));
}

/** As the proxy's addresses take them. */
export function asParameters({ show, facets }: Filters): URLSearchParams {
  const parameters = new URLSearchParams(facets as Record<string, string>);
  if (show === "failed" && !parameters.has("outcome")) parameters.set("outcome", "failed");
  if (show === "rescued" || show === "slow") parameters.set(show, "1");
  return parameters;
}

function isSlow(record: RequestRecord): boolean {
  return (record.first_token_ms ?? record.total_ms ?? 0) >= SLOW_MS;
}

function isShown(record: RequestRecord, show: Show): boolean {
  switch (show) {
    case "all":
      return true;
    case "failed":
      return isFailed(record);
    case "rescued":
      return isRescued(record);
    case "slow":
      return isSlow(record);
  }
}

function holds(text: string | undefined, wanted: string): boolean {
  return text?.toLowerCase().includes(wanted.toLowerCase()) ?? false;
}

function hasText(record: RequestRecord, wanted: string): boolean {
  const { id, path, model, served, upstream, key, caller, client, error } = record;
  const said = (record.attempts ?? []).map((attempt) => attempt.reason);
  return [id, path, model, served, upstream, key, caller, client, error, ...said].some((text) =>
    holds(text, wanted),
  );
}

function hasStatus(record: RequestRecord, wanted: string): boolean {
  const status = String(record.status ?? 0);
  return wanted.endsWith("xx") ? status.length === 3 && status[0] === wanted[0] : status === wanted;
}

function hasFacet(record: RequestRecord, facet: Facet, wanted: string): boolean {
  switch (facet) {
    case "q":
      return hasText(record, wanted);
    case "client":
      return holds(record.client, wanted);
    case "status":
      return hasStatus(record, wanted);
    case "fault":
      return (record.attempts ?? []).some((attempt) => attempt.fault === wanted);
    case "model":
    case "upstream":
    case "key":
    case "caller":
    case "outcome":
      return record[facet] === wanted;
  }
}

export function matches(record: RequestRecord, { show, facets }: Filters): boolean {
  return (
    isShown(record, show) &&
    FACETS.every((facet) => facets[facet] === undefined || hasFacet(record, facet, facets[facet]))
  );
}
