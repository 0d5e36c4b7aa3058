/** Language and theme: chosen and remembered, else what the browser says. */

import { effect, signal } from "@preact/signals";

export type Language = "en" | "zh";
export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

/** Storage may be forbidden; then the choice lasts as long as the page. */
function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`llm-proxy.${name}`);
  } catch {
    return null;
  }
}

function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`llm-proxy.${name}`);
    else localStorage.setItem(`llm-proxy.${name}`, value);
  } catch {
    // see remembered()
  }
}

function firstLanguage(): Language {
  const chosen = remembered("language");
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function firstTheme(): Theme {
  return THEMES.find((theme) => theme === remembered("theme")) ?? "system";
}

export const language = signal<Language>(firstLanguage());
export const theme = signal<Theme>(firstTheme());

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});

effect(() => {
  const chosen = theme.value;
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
});

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  remember("language", chosen);
}

export function nextTheme(): void {
  const at = THEMES.indexOf(theme.value);
  theme.value = THEMES[(at + 1) % THEMES.length] ?? "system";
  remember("theme", theme.value === "system" ? null : theme.value);
}

/** Whether a foldable part was left open; null = never touched. */
export function rememberedFold(name: string): boolean | null {
  const value = remembered(`fold.${name}`);
  return value === null ? null : value === "open";
}

export function rememberFold(name: string, open: boolean): void {
  remember(`fold.${name}`, open ? "open" : "closed");
}

/** A choice that concerns nobody but this browser, such as the tab last looked at. */
export function rememberedChoice(name: string): string | null {
  return remembered(`choice.${name}`);
}

export function rememberChoice(name: string, value: string): void {
  remember(`choice.${name}`, value);
}
