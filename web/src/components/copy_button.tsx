/** Copies a text, on plain HTTP too, where browsers lend no clipboard to scripts. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { words } from "../i18n";
import { Icon } from "./icon";

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
  document.body.append(area);
  const focused = document.activeElement;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}

const SHOWN_MS = 2000;

/** `what` names the text for those who do not see what stands beside the button. */
export function CopyButton({ text, what }: { text: string; what: string }) {
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
        result.value = (await copy(text)) ? "copied" : "failed";
      }}
    >
      <Icon name={result.value === "copied" ? "check" : "copy"} />
      <span role="status">{result.value === null ? said.copy : said[result.value]}</span>
    </button>
  );
}
