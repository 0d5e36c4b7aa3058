import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FAULT_SENTENCES, SENTENCES, saidByProxy } from "../src/i18n/sentences";

const PACKAGE = "../src/llm_proxy";
const read = (path: string) => readFileSync(`${PACKAGE}/${path}`, "utf8");

/** Python's `f"… {name} …"` with `*` for what is filled in. */
const starred = (text: string) => text.replace(/\{[^}]*\}/g, "x");

/** What stands in the configuration's sources as repaired or warned of. */
function configSentences(): string[] {
  const found: string[] = [];
  for (const name of readdirSync(`${PACKAGE}/config`).filter((file) => file.endsWith(".py"))) {
    const source = read(`config/${name}`);
    for (const [, , what] of source.matchAll(/repairs\.say\((.*?), f?"([^"]+)"\)/g)) found.push(`X: ${starred(what ?? "")}`);
    for (const [, call] of source.matchAll(/reading\.warn\(\s*((?:f?"[^"]+"\s*)+)\)/g)) {
      found.push(starred([...(call ?? "").matchAll(/"([^"]+)"/g)].map((part) => part[1]).join("")));
    }
  }
  return found;
}

describe("what the proxy says", () => {
  it("about faults is in the table, word for word", () => {
    const says = [...read("domain/faults.py").matchAll(/_C\.\w+,\s+"([^"]+)"\)/g)].map((found) => found[1] ?? "");
    expect(says.length).toBeGreaterThan(25);
    expect(says.filter((sentence) => FAULT_SENTENCES[sentence] === undefined)).toEqual([]);
  });

  it("about settings is recognised, whatever was filled in", () => {
    const said = configSentences();
    expect(said.length).toBeGreaterThan(15);
    expect(said.filter((sentence) => saidByProxy(sentence, "zh") === sentence)).toEqual([]);
  });

  it("keeps in Chinese what was filled in", () => {
    expect(saidByProxy("PROXY_URL: https:// added", "zh")).toBe("PROXY_URL：补上了 https://");
    expect(saidByProxy("the key is rate limited: Try again in 20s: now", "zh")).toBe("密钥触发限流：Try again in 20s: now");
    expect(saidByProxy("no event for 200 s", "zh")).toBe("200 s 内没有任何事件");
  });

  it("stays as it is in English, and where it is a provider's word", () => {
    expect(saidByProxy("the key is rate limited", "en")).toBe("the key is rate limited");
    expect(saidByProxy("You exceeded (your) quota", "zh")).toBe("You exceeded (your) quota");
  });

  it("has as many places to fill in Chinese as in English", () => {
    const stars = (text: string) => text.split("*").length;
    expect(SENTENCES.filter(([english, chinese]) => stars(english) !== stars(chinese))).toEqual([]);
  });
});
