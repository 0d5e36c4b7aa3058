/** The words in the chosen language. Reading `words.value` in a component follows the choice. */

import { computed, effect } from "@preact/signals";
import { type Language, language } from "../state/preferences";
import { type Words, en } from "./en";
import { zh } from "./zh";

export const DICTIONARIES: Record<Language, Words> = { en, zh };

export const words = computed(() => DICTIONARIES[language.value]);

/** The reason why a target was chosen; the proxy's own words where none are known here. */
export function whyWords(why: string): string {
  return words.value.why[why] ?? why;
}

effect(() => {
  document.title = language.value === "zh" ? "LLM Proxy 状态" : "LLM Proxy status";
});
