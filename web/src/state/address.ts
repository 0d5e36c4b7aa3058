/**
 * The page's own address carries what is looked at: filters, span of the numbers, the open request.
 * So every view has a link, a reload changes nothing, and the browser's back button closes what
 * was opened. No secret ever goes in.
 */

import { signal } from "@preact/signals";

export type Query = Readonly<Record<string, string>>;

function read(): Query {
  return Object.fromEntries(new URLSearchParams(location.search));
}

export const query = signal<Query>(read());

window.addEventListener("popstate", () => {
  query.value = read();
});

/** The address with some names changed; null removes one. */
export function addressWith(changes: Record<string, string | null>): URL {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  }
  return address;
}

/** `push` where the back button should undo it. */
export function setQuery(changes: Record<string, string | null>, how: "replace" | "push" = "replace"): void {
  const address = addressWith(changes);
  if (address.href === location.href) return;
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  query.value = read();
}
