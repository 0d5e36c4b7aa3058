/**
 * The access key as typed into this page, in this tab's memory alone: it is written to no storage
 * and gone with a reload. Copying it, building import links and test calls need it.
 */

import { signal } from "@preact/signals";

export const accessKey = signal<string | null>(null);

/** What stands for the key wherever it is shown. */
export function maskOf(hint: string | undefined): string {
  return hint ?? "…";
}
