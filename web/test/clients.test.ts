import { describe, expect, it } from "vitest";
import { CLIENTS, type ImportLink, base64 } from "../src/format/clients";

const SETUP = { base: "https://llm.example/sub", key: "sk-a+b/c&d=é", model: "fast'; rm -rf" };

const linksOf = (app: string): ImportLink[] => CLIENTS.flatMap((client) => client.imports).filter((one) => one.app === app);
const link = (app: string, at = 0): string => linksOf(app)[at]?.link(SETUP) ?? "";
const decoded = (text: string): unknown => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));

describe("import links", () => {
  it("hand Cherry Studio the address without /v1 in its own base64", () => {
    const data = new URL(link("Cherry Studio")).searchParams.get("data") ?? "";
    expect(data).not.toMatch(/[+/]/);
    expect(decoded(data.replaceAll("_", "+").replaceAll("-", "/"))).toEqual({
      id: "llm-proxy",
      name: "LLM Proxy",
      type: "openai",
      baseUrl: SETUP.base,
      apiKey: SETUP.key,
    });
  });

  it("hand Chatbox address and path apart", () => {
    const config = decoded(new URL(link("Chatbox")).searchParams.get("config") ?? "") as { settings: object };
    expect(config.settings).toMatchObject({ apiHost: SETUP.base, apiPath: "/v1/chat/completions", apiKey: SETUP.key });
  });

  it("hand CC Switch what Claude Code and Codex each need", () => {
    const [claude, codex] = [0, 1].map((at) => new URL(link("CC Switch", at)).searchParams);
    expect(Object.fromEntries(claude ?? [])).toMatchObject({ resource: "provider", app: "claude", endpoint: SETUP.base, apiKey: SETUP.key });
    expect(Object.fromEntries(codex ?? [])).toMatchObject({ app: "codex", endpoint: `${SETUP.base}/v1` });
  });

  it("keep a key for a web page behind the #, where its server never sees it", () => {
    const address = new URL(link("NextChat"));
    expect(address.search).toBe("");
    expect(decodeURIComponent(address.hash)).toContain(SETUP.key);
  });

  it("hand OpenCat and DeepChat host and key", () => {
    expect(new URL(link("OpenCat")).searchParams.get("token")).toBe(SETUP.key);
    expect(decoded(new URL(link("DeepChat")).searchParams.get("data") ?? "")).toMatchObject({ apiKey: SETUP.key });
  });
});

describe("snippets", () => {
  it("quote what comes from elsewhere", () => {
    const curl = CLIENTS.find((client) => client.id === "curl")?.snippets(SETUP)[0]?.code ?? "";
    expect(curl).toContain(`fast'\\''; rm -rf`);
    const toml = CLIENTS.find((client) => client.id === "codex")?.snippets({ ...SETUP, model: 'a"b' })[0]?.code ?? "";
    expect(toml).toContain('model = "a\\"b"');
  });

  it("give the clients that want it /v1, the others none", () => {
    const withV1 = CLIENTS.filter((client) => JSON.stringify([client.fields(SETUP), client.snippets(SETUP)]).includes(`${SETUP.base}/v1`)).map((client) => client.id);
    expect(withV1).toEqual(["codex", "lobechat", "openwebui", "cline", "continue", "curl", "python"]);
  });
});

it("encodes text beyond ASCII as UTF-8", () => {
  expect(base64("é")).toBe("w6k=");
});
