/**
 * Serves the built page and a made-up API, to work on the page without a proxy.
 *
 *   node dev/mock.mjs            then open http://127.0.0.1:8000 and sign in with "demo"
 *
 * Environment: PORT (8000), MODE (summary or private), SCENE (busy, empty, down), RATE (requests
 * a second, 0.5; 0 = none). POST /mock/arrive finishes one request, POST /mock/hush?s=N makes the
 * server refuse everything for N seconds.
 */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { TOTALS, ZERO, makeRecord, makeUpstreams } from "./fixtures.mjs";

const STATIC = fileURLToPath(new URL("../../src/llm_proxy/dashboard/static/", import.meta.url));
const MODE = process.env.MODE ?? "summary";
const SCENE = process.env.SCENE ?? "busy";
const RATE = Number(process.env.RATE ?? 0.5);
const PORT = Number(process.env.PORT ?? 8000);
const KEY = "demo";
const startedAt = Date.now() - (SCENE === "empty" ? 42_000 : 3 * 86_400_000 + 4.2 * 3_600_000);

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const records = [];
const totals = SCENE === "empty" ? { ...ZERO } : { ...TOTALS };
const streams = new Set();
let hushedUntil = 0;
let wrongKeys = 0;

if (SCENE !== "empty") {
  for (let at = 120; at > 0; at -= 1) records.unshift(makeRecord(Date.now() - at * 31_000));
}

function upstreams() {
  const made = makeUpstreams();
  const keys = made.flatMap((upstream) => upstream.keys);
  if (SCENE === "empty") {
    for (const key of keys) Object.assign(key, { state: "ready", back_in_s: null, cause: null, source: null, models: {}, in_flight: 0, attempts: 0, failures: 0, rate_limited: 0, recent: [] });
  }
  if (SCENE === "down") {
    for (const key of keys) Object.assign(key, { state: "open", back_in_s: 25, cause: "connect_timeout", source: "guess", recent: Array(60).fill(2) });
  }
  return made;
}

function status(signedIn) {
  const common = {
    version: "0.1.0",
    now_ms: Date.now(),
    started_at_ms: startedAt,
    uptime_s: (Date.now() - startedAt) / 1000,
    state: { busy: "cooling", empty: "working", down: "down" }[SCENE],
    totals,
    signed_in: signedIn,
  };
  if (!signedIn) return common;
  return {
    ...common,
    store: { kind: "sqlite", state: "ok", problem: null, path: "/data/llm-proxy.sqlite3", free_bytes: 120_400_000, queued: 0, written: totals.requests, dropped: 0 },
    generation: SCENE === "busy" ? 3 : 1,
    upstreams: upstreams(),
    in_flight: SCENE === "busy" ? 4 : 0,
    repairs: SCENE === "busy" ? ["PROXY_URL: added https:// in front of api.example-gateway.com"] : [],
    warnings: SCENE === "down" ? ["OUTBOUND_PROXY is set, but nothing listens at 127.0.0.1:7890"] : [],
    listen: `http://127.0.0.1:${PORT}`,
    key_hint: "…ab12",
  };
}

function event(stream, name, data, id) {
  stream.response.write(`${id ? `id: ${id}\n` : ""}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

function finishOne() {
  const record = makeRecord(Date.now());
  records.unshift(record);
  totals.requests += 1;
  if (record.outcome === "ok") totals.ok += 1;
  if (record.outcome === "ok" && record.attempts.length > 1) totals.rescued += 1;
  for (const stream of streams) {
    event(stream, "status", status(stream.signedIn));
    if (stream.signedIn) event(stream, "request", record, record.id);
  }
}

setInterval(() => {
  for (const stream of streams) event(stream, "status", status(stream.signedIn));
}, 5000);
if (RATE > 0) setInterval(finishOne, 1000 / RATE);

function json(response, code, body, headers = {}) {
  const type = code >= 400 ? "application/problem+json" : "application/json";
  response.writeHead(code, { ...HEADERS, "content-type": type, "cache-control": "no-store", ...headers });
  response.end(JSON.stringify(body));
}

const problem = (response, code, title, headers) => json(response, code, { title, status: code }, headers);

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function session(request, response, signedIn) {
  if (request.method === "GET") {
    return json(response, 200, { mode: MODE, signed_in: signedIn, caller: signedIn ? "laptop" : null, is_owner: signedIn });
  }
  if (request.headers["x-llm-proxy-csrf"] !== "1") return problem(response, 403, "csrf header missing");
  if (request.method === "DELETE") {
    response.writeHead(204, { ...HEADERS, "set-cookie": "llm_proxy_session=; Path=/; Max-Age=0" });
    return response.end();
  }
  if (wrongKeys >= 5) return problem(response, 429, "too many tries", { "retry-after": "42" });
  if (JSON.parse(await body(request)).key !== KEY) {
    wrongKeys += 1;
    return problem(response, 401, "wrong key");
  }
  response.writeHead(204, { ...HEADERS, "set-cookie": "llm_proxy_session=yes; Path=/; HttpOnly; SameSite=Strict" });
  return response.end();
}

function events(request, response, signedIn) {
  response.writeHead(200, { ...HEADERS, "content-type": "text/event-stream", "cache-control": "no-store" });
  const stream = { response, signedIn };
  streams.add(stream);
  event(stream, "status", status(signedIn));
  request.on("close", () => streams.delete(stream));
}

async function file(path, response) {
  const name = path === "/" ? "index.html" : normalize(path).replace(/^\/dashboard\//, "");
  try {
    const data = await readFile(join(STATIC, name));
    response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
    response.end(data);
  } catch {
    problem(response, 404, "not found");
  }
}

async function handle(request, response) {
  const address = new URL(request.url, "http://mock");
  const signedIn = /llm_proxy_session=yes/.test(request.headers.cookie ?? "");
  const { pathname, searchParams } = address;
  if (pathname === "/mock/hush") {
    hushedUntil = Date.now() + Number(searchParams.get("s")) * 1000;
    for (const stream of streams) stream.response.destroy();
    return json(response, 200, {});
  }
  if (pathname === "/mock/arrive") {
    finishOne();
    return json(response, 200, {});
  }
  if (Date.now() < hushedUntil) return request.socket.destroy();
  if (!pathname.startsWith("/api/")) return file(pathname, response);
  if (pathname === "/api/session") return session(request, response, signedIn);
  if (!signedIn && (MODE === "private" || pathname.startsWith("/api/requests"))) {
    return problem(response, 401, "sign in first");
  }
  if (pathname === "/api/status") return json(response, 200, status(signedIn));
  if (pathname === "/api/events") return events(request, response, signedIn);
  if (pathname === "/api/requests") {
    const limit = Number(searchParams.get("limit") ?? 50);
    const before = searchParams.get("before");
    const older = before === null ? records : records.filter((record) => record.id < before);
    return json(response, 200, { requests: older.slice(0, limit), next: older.length > limit ? older[limit - 1].id : null });
  }
  return problem(response, 404, "not found");
}

createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    problem(response, 500, "the mock failed");
  });
}).listen(PORT, "127.0.0.1", () => console.log(`mock at http://127.0.0.1:${PORT}, key "${KEY}"`));
