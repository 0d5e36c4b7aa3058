/** Made-up traffic for the mock server: the same every time, so that screenshots compare. */

let seed = 7;

/** A small reproducible generator (LCG, numerical recipes' constants). */
export function chance() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

const pick = (list) => list[Math.floor(chance() * list.length)];

const TARGETS = [
  ["upstream-1", "key-1 …ab12"],
  ["upstream-1", "key-2 …77fe"],
  ["upstream-1", "key-3 …0c9d"],
  ["siliconflow", "key-1 …9xyz"],
];
const MODELS = ["gpt-5", "claude-sonnet-4-5", "qwen3-235b-a22b-instruct-2507", "deepseek-chat", "glm-4.6"];
const CLIENTS = ["claude-cli/2.1.330 (external, cli)", "OpenAI/Python 3.54.0", "Cherry Studio/1.6", undefined];
const CALLERS = ["phone", "laptop", "friend"];

let sequence = 0;

const target = (at) => ({ upstream: TARGETS[at][0], key: TARGETS[at][1] });

function limited(at, start) {
  return {
    ...target(at),
    status: 429,
    fault: "rate_limited",
    reason: "Rate limit reached for gpt-5 in organization org-x on requests per min (RPM): Limit 3, Used 3. Please try again in 20s.",
    why: "healthy",
    start_ms: start,
    connect_ms: 0,
    first_byte_ms: 180,
    total_ms: 190,
    cool_s: 20,
    cost: "none",
  };
}

function answer(at, start, thinkMs, totalMs, why) {
  return {
    ...target(at),
    status: 200,
    why,
    start_ms: start,
    connect_ms: 40,
    first_byte_ms: thinkMs,
    total_ms: totalMs,
  };
}

const RECIPES = {
  ok: (base) => {
    const think = 300 + chance() * 1500;
    const total = think + 500 + chance() * 9000;
    return {
      ...base,
      outcome: "ok",
      status: 200,
      first_token_ms: base.stream ? think + 60 : undefined,
      total_ms: total,
      attempts: [answer(Math.floor(chance() * 4), 2, think, total - 3, "healthy")],
      usage: { input: Math.floor(chance() * 60000), output: Math.floor(chance() * 4000), cache_read: 1024 },
    };
  },
  rescued: (base) => ({
    ...base,
    outcome: "ok",
    status: 200,
    served: base.model === "gpt-5" ? "gpt-5-2026-08" : undefined,
    first_token_ms: 1450,
    total_ms: 6200,
    attempts: [
      limited(0, 3),
      { ...target(1), status: 503, fault: "overloaded", reason: "The engine is currently overloaded, please try again later", why: "healthy", start_ms: 200, connect_ms: 35, first_byte_ms: 300, total_ms: 310, cost: "none" },
      { ...answer(3, 760, 600, 5400, "last resort"), wait_ms: 240 },
    ],
    usage: { input: 18_230, output: 912 },
  }),
  rate_limited: (base) => ({
    ...base,
    outcome: "rate_limited",
    status: 429,
    error: "every attempt was rate limited (3 attempts)",
    total_ms: 640,
    attempts: [limited(0, 2), { ...limited(1, 210), why: "healthy" }, { ...limited(2, 420), why: "last resort" }],
  }),
  upstream_error: (base) => ({
    ...base,
    outcome: "upstream_error",
    status: 502,
    error: "the upstream rejected the proxy's credentials",
    total_ms: 420,
    attempts: [
      { ...target(2), status: 401, fault: "key_rejected", reason: "Incorrect API key provided: sk-…0c9d.", why: "healthy", start_ms: 2, connect_ms: 80, first_byte_ms: 210, total_ms: 212, cool_s: 60, cost: "none" },
      { ...target(3), fault: "connect_refused", reason: "connection refused", why: "last resort", start_ms: 220, connect_ms: 12, total_ms: 12, cost: "none" },
    ],
  }),
  cut: (base) => ({
    ...base,
    stream: true,
    outcome: "cut",
    status: 200,
    error: "the upstream's stream broke off",
    first_token_ms: 900,
    total_ms: 4100,
    bytes_down: 20_444,
    attempts: [{ ...answer(3, 2, 820, 4090, "healthy"), fault: "stream_cut", reason: "connection closed before the final event", cost: "partial" }],
  }),
  client_error: (base) => ({
    ...base,
    outcome: "client_error",
    status: 400,
    error: "the upstream refused the request as faulty",
    total_ms: 330,
    attempts: [{ ...target(0), status: 400, fault: "client_fault", reason: "Invalid value: 'tol'. Supported values are: 'system', 'user', 'assistant' and 'tool'.", why: "healthy", start_ms: 1, connect_ms: 0, first_byte_ms: 320, total_ms: 322, cost: "none" }],
  }),
  client_gone: (base) => ({
    ...base,
    stream: true,
    outcome: "client_gone",
    status: 200,
    first_token_ms: 700,
    total_ms: 1900,
    attempts: [{ ...answer(1, 1, 650, 1890, "healthy"), fault: "client_gone", cost: "partial" }],
  }),
  refused: (base) => ({
    ...base,
    outcome: "refused",
    status: 404,
    model: "<script>alert(1)</script>",
    error: "no upstream serves this model",
    total_ms: 0.4,
    attempts: undefined,
  }),
};

const WEIGHTED = [
  ...Array(16).fill("ok"),
  ...Array(5).fill("rescued"),
  "rate_limited",
  "upstream_error",
  "cut",
  "client_error",
  "client_gone",
  "refused",
];

export function makeRecord(atMs, kind = pick(WEIGHTED)) {
  sequence += 1;
  const format = pick(["chat", "messages", "responses"]);
  const path = { chat: "/v1/chat/completions", messages: "/v1/messages", responses: "/v1/responses" }[format];
  const record = RECIPES[kind]({
    id: `01JD${String(sequence).padStart(22, "0")}`,
    at_ms: atMs,
    format,
    method: "POST",
    path,
    caller: pick(CALLERS),
    client: pick(CLIENTS),
    model: pick(MODELS),
    stream: chance() < 0.7,
    bytes_up: Math.floor(chance() * 90_000),
    bytes_down: Math.floor(chance() * 30_000),
    notice: chance() < 0.06 ? "address corrected" : undefined,
  });
  const last = record.attempts?.at(-1);
  return JSON.parse(JSON.stringify({ upstream: last?.upstream, key: last?.key, ...record }));
}

const strip = (length, limitedShare, failedShare) =>
  Array.from({ length }, () => {
    const drawn = chance();
    if (drawn < failedShare) return 2;
    return drawn < failedShare + limitedShare ? 1 : 0;
  });

const key = (id, label, more) => ({
  id,
  label,
  state: "ready",
  back_in_s: null,
  cause: null,
  source: null,
  models: {},
  in_flight: 0,
  attempts: 0,
  failures: 0,
  rate_limited: 0,
  recent: [],
  ...more,
});

export function makeUpstreams() {
  return [
    {
      name: "upstream-1",
      address: "https://api.example-gateway.com/v1",
      formats: ["chat", "responses"],
      models: [],
      keys: [
        key("upstream-1/key-1", "key-1 …ab12", { state: "cooling", back_in_s: 37, cause: "rate_limited", source: "header", attempts: 13_204, failures: 811, rate_limited: 790, in_flight: 0, recent: strip(60, 0.25, 0.02) }),
        key("upstream-1/key-2", "key-2 …77fe", { attempts: 12_877, failures: 640, rate_limited: 622, in_flight: 3, models: { "gpt-5": 12 }, recent: strip(60, 0.1, 0.05) }),
        key("upstream-1/key-3", "key-3 …0c9d", { state: "refused", back_in_s: 48, cause: "key_rejected", source: "guess", attempts: 9, failures: 9, recent: strip(9, 0, 1) }),
      ],
    },
    {
      name: "siliconflow",
      address: "https://api.siliconflow.example",
      formats: [],
      models: ["qwen3-235b-a22b-instruct-2507", "deepseek-chat", "glm-4.6", "kimi-k2"],
      keys: [key("siliconflow/key-1", "key-1 …9xyz", { attempts: 4021, failures: 12, in_flight: 1, recent: strip(60, 0, 0.04) })],
    },
  ];
}

export const TOTALS = {
  requests: 128_411,
  ok: 126_902,
  rescued: 4_213,
  client_errors: 611,
  failed: 402,
  rate_limited: 61,
  rate_limits_met: 9_870,
  client_gone: 496,
  attempts: 133_998,
  input_tokens: 1_284_112_877,
  output_tokens: 48_212_009,
};

export const ZERO = Object.fromEntries(Object.keys(TOTALS).map((name) => [name, 0]));
