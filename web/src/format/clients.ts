/**
 * How each client is told about the proxy: what to type where, and its one-click import link.
 * Everything is built from what this browser sees; links are made on a click only, as they hold
 * the key.
 */

export interface Setup {
  /** The proxy's address without a slash at its end. */
  base: string;
  key: string;
  model: string;
}

/** What a field of a client's settings is called; words come from the dictionary. */
export type FieldName = "address" | "path" | "key" | "model";

export interface Snippet {
  /** The file it goes into; none: a terminal. */
  file?: string;
  code: string;
}

export interface ImportLink {
  /** The program that opens it. */
  app: string;
  link: (setup: Setup) => string;
}

export type ClientId =
  | "claude"
  | "codex"
  | "cherry"
  | "chatbox"
  | "opencat"
  | "nextchat"
  | "lobechat"
  | "openwebui"
  | "cline"
  | "continue"
  | "curl"
  | "python";

export interface Client {
  id: ClientId;
  name: string;
  fields: (setup: Setup) => readonly (readonly [FieldName, string])[];
  snippets: (setup: Setup) => readonly Snippet[];
  imports: readonly ImportLink[];
}

/** Quote for a POSIX shell: model names come from anywhere. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Base64 of the UTF-8 bytes. */
export function base64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

const ID = "llm-proxy";
const NAME = "LLM Proxy";

const ccSwitch = (app: "claude" | "codex"): ImportLink => ({
  app: "CC Switch",
  link: ({ base, key }) => {
    const query = { resource: "provider", app, name: NAME, endpoint: app === "codex" ? `${base}/v1` : base, apiKey: key };
    const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return `ccswitch://v1/import?${pairs.join("&")}`;
  },
});

const cherryStudio: ImportLink = {
  app: "Cherry Studio",
  link: ({ base, key }) => {
    const data = base64(JSON.stringify({ id: ID, name: NAME, type: "openai", baseUrl: base, apiKey: key }));
    return `cherrystudio://providers/api-keys?v=1&data=${data.replaceAll("+", "_").replaceAll("/", "-")}`;
  },
};

const chatbox: ImportLink = {
  app: "Chatbox",
  link: ({ base, key, model }) => {
    const config = {
      id: ID,
      name: NAME,
      type: "openai",
      urls: { website: base },
      settings: {
        apiHost: base,
        apiPath: "/v1/chat/completions",
        apiKey: key,
        models: [{ modelId: model, type: "chat", capabilities: [] }],
      },
    };
    return `chatbox://provider/import?config=${encodeURIComponent(base64(JSON.stringify(config)))}`;
  },
};

const deepChat: ImportLink = {
  app: "DeepChat",
  link: ({ base, key }) => {
    const data = base64(JSON.stringify({ id: ID, baseUrl: `${base}/v1`, apiKey: key }));
    return `deepchat://provider/install?v=1&data=${encodeURIComponent(data)}`;
  },
};

const openCat: ImportLink = {
  app: "OpenCat",
  link: ({ base, key }) =>
    `opencat://team/join?domain=${encodeURIComponent(base)}&token=${encodeURIComponent(key)}`,
};

const nextChat: ImportLink = {
  app: "NextChat",
  // Behind the #: what follows it is never sent to that site's server.
  link: ({ base, key }) =>
    `https://app.nextchat.club/#/?settings=${encodeURIComponent(JSON.stringify({ key, url: base }))}`,
};

function chatBody(model: string): string {
  return JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
}

const NONE = () => [];

/** Address, key and model as most programs ask for them. */
const typed = (suffix: "" | "/v1", ...more: FieldName[]) => ({ base, key, model }: Setup) => {
  const values = { address: base + suffix, path: "/v1/chat/completions", key, model };
  return (["address", ...more] as const).map((name) => [name, values[name]] as const);
};

export const CLIENTS: readonly Client[] = [
  {
    id: "claude",
    name: "Claude Code",
    fields: NONE,
    snippets: ({ base, key }) => [
      {
        code: [
          `export ANTHROPIC_BASE_URL=${quoted(base)}`,
          `export ANTHROPIC_AUTH_TOKEN=${quoted(key)}`,
          "unset ANTHROPIC_API_KEY",
          "claude",
        ].join("\n"),
      },
    ],
    imports: [ccSwitch("claude")],
  },
  {
    id: "codex",
    name: "Codex",
    fields: NONE,
    snippets: ({ base, key, model }) => [
      {
        file: "~/.codex/config.toml",
        code: [
          `model = ${JSON.stringify(model)}`,
          `model_provider = "${ID}"`,
          "",
          `[model_providers.${ID}]`,
          `name = "${NAME}"`,
          `base_url = ${JSON.stringify(`${base}/v1`)}`,
          'env_key = "LLM_PROXY_KEY"',
          'wire_api = "responses"',
        ].join("\n"),
      },
      { code: `export LLM_PROXY_KEY=${quoted(key)}\ncodex` },
    ],
    imports: [ccSwitch("codex")],
  },
  { id: "cherry", name: "Cherry Studio", fields: typed("", "key"), snippets: NONE, imports: [cherryStudio] },
  { id: "chatbox", name: "Chatbox", fields: typed("", "path", "key"), snippets: NONE, imports: [chatbox, deepChat] },
  { id: "opencat", name: "OpenCat", fields: typed("", "key"), snippets: NONE, imports: [openCat] },
  { id: "nextchat", name: "NextChat", fields: typed("", "key"), snippets: NONE, imports: [nextChat] },
  { id: "lobechat", name: "LobeChat", fields: typed("/v1", "key"), snippets: NONE, imports: [] },
  { id: "openwebui", name: "Open WebUI", fields: typed("/v1", "key"), snippets: NONE, imports: [] },
  { id: "cline", name: "Cline / Roo", fields: typed("/v1", "key", "model"), snippets: NONE, imports: [] },
  {
    id: "continue",
    name: "Continue",
    fields: NONE,
    snippets: ({ base, key, model }) => [
      {
        file: "~/.continue/config.yaml",
        code: [
          "name: My Config",
          "version: 0.0.1",
          "schema: v1",
          "models:",
          `  - name: ${NAME}`,
          "    provider: openai",
          `    model: ${JSON.stringify(model)}`,
          `    apiBase: ${JSON.stringify(`${base}/v1`)}`,
          `    apiKey: ${JSON.stringify(key)}`,
        ].join("\n"),
      },
    ],
    imports: [],
  },
  {
    id: "curl",
    name: "curl",
    fields: NONE,
    snippets: ({ base, key, model }) => [
      {
        code: [
          `curl ${quoted(`${base}/v1/chat/completions`)} \\`,
          `  -H ${quoted(`Authorization: Bearer ${key}`)} \\`,
          "  -H 'Content-Type: application/json' \\",
          `  -d ${quoted(chatBody(model))}`,
        ].join("\n"),
      },
    ],
    imports: [],
  },
  {
    id: "python",
    name: "Python",
    fields: NONE,
    snippets: ({ base, key, model }) => [
      {
        file: "hello.py",
        code: [
          "from openai import OpenAI",
          "",
          `client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=${JSON.stringify(key)})`,
          "answer = client.chat.completions.create(",
          `    model=${JSON.stringify(model)},`,
          '    messages=[{"role": "user", "content": "Hello"}],',
          ")",
          "print(answer.choices[0].message.content)",
        ].join("\n"),
      },
    ],
    imports: [],
  },
];
