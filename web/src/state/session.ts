/** Who looks at the page. */

import { computed, signal } from "@preact/signals";
import type { Session } from "../api/types";

export const session = signal<Session | null>(null);

/** Whether only the sign-in form may be shown. */
export const isLocked = computed(
  () => session.value?.mode === "private" && !session.value.signed_in,
);
export const isSignedIn = computed(() => session.value?.signed_in ?? false);
/** Whether this caller may act: test and pause keys, cancel requests, try models. */
export const isOwner = computed(() => session.value?.is_owner ?? false);
