/** Copies a text, on plain HTTP too, where browsers lend no clipboard to scripts. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { words } from "../i18n";
import { Icon, type IconName } from "./icon";

async function copy(text: string): Promise<boolean> {
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Permission may be denied; the selection below needs none.
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  area.readOnly = true;
  const focused = document.activeElement;
  // What lies outside an open dialog cannot be selected.
  (focused?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}

const SHOWN_MS = 2000;

interface CopyProps {
  /** Made on the click where making it early would show a secret; null = there is none to copy. */
  text: string | (() => string | null);
  /** Names the text for those who do not see what stands beside the button. */
  what: string;
  label?: string;
  icon?: IconName;
}

export function CopyButton({ text, what, label, icon = "copy" }: CopyProps) {
  const result = useSignal<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (result.value === null) return undefined;
    const timer = setTimeout(() => {
      result.value = null;
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [result.value]);
  const said = words.value.copy;
  return (
    <button
      type="button"
      class="button copy"
      aria-label={said.what(what)}
      onClick={async () => {
        const made = typeof text === "string" ? text : text();
        if (made !== null) result.value = (await copy(made)) ? "copied" : "failed";
      }}
    >
      <Icon name={result.value === "copied" ? "check" : icon} />
      <span role="status">{result.value === null ? (label ?? said.copy) : said[result.value]}</span>
    </button>
  );
}
