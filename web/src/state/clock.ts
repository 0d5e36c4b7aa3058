/** The page's one clock: ticks every second while the page is visible. */

import { signal } from "@preact/signals";

/** Monotonic milliseconds, as of the last tick. */
export const now = signal(performance.now());

setInterval(() => {
  if (!document.hidden) now.value = performance.now();
}, 1000);

document.addEventListener("visibilitychange", () => {
  now.value = performance.now();
});
