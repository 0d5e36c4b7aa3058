/** Keys that act on the page as a whole: never while somebody types or a dialog is open. */

const TYPED_INTO = "input, textarea, select, [contenteditable]";

/** Whether `event` is that letter alone, pressed for the page. */
export function isPlainKey(event: KeyboardEvent, letter: string): boolean {
  if (event.key.toLowerCase() !== letter) return false;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return false;
  const { target } = event;
  return !(target instanceof Element && target.closest(`${TYPED_INTO}, dialog`) !== null);
}
