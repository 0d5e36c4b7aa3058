import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { en } from "../src/i18n/en";
import { FAULTS, faultWords } from "../src/i18n/faults";
import { zh } from "../src/i18n/zh";

/** Every entry as [path, value], functions called with sample arguments. */
function entries(value: unknown, path = ""): [string, string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, String(value(2, 3))]];
  return Object.entries(value as object).flatMap(([name, inner]) =>
    entries(inner, path === "" ? name : `${path}.${name}`),
  );
}

describe("both languages", () => {
  it("have the same entries, none of them empty", () => {
    const english = entries(en);
    const chinese = entries(zh);
    expect(chinese.map(([path]) => path)).toEqual(english.map(([path]) => path));
    expect([...english, ...chinese].filter(([, text]) => text.trim() === "")).toEqual([]);
  });

  it("leave no English sentence in the Chinese page", () => {
    const untranslated = entries(zh).filter(
      ([path, text]) => !/[\u4e00-\u9fff]/.test(text) && en.name !== text && path !== "other" && /[a-z]{3,} [a-z]{2,}/.test(text),
    );
    expect(untranslated).toEqual([]);
  });
});

describe("the proxy's fault table", () => {
  const source = "../src/llm_proxy/domain/faults.py";
  const names = [...readFileSync(source, "utf8").matchAll(/= Fault\("(\w+)"/g)].map((found) => found[1] ?? "");

  it("is worded completely, and nothing else is", () => {
    expect(names.length).toBeGreaterThan(20);
    expect(Object.keys(FAULTS).sort()).toEqual([...names].sort());
  });

  it("gives advice in both languages or in none", () => {
    for (const row of Object.values(FAULTS)) {
      expect(row.zh.advice === undefined).toBe(row.en.advice === undefined);
    }
  });

  it("shows a fault that is not worded by its name", () => {
    expect(faultWords("moon_phase", "zh").says).toBe("moon phase");
  });
});
