/** A request as a command line: what is known of it, without its key and without its text. */

import type { RequestRecord } from "../api/types";
import { quoted } from "./clients";

/** What stands for the texts, which the proxy does not keep. */
const ASKED = "…";

function bodyOf(record: RequestRecord): string {
  const common = { model: record.model ?? "", stream: record.stream ?? false };
  const said = [{ role: "user", content: ASKED }];
  switch (record.format) {
    case "responses":
      return JSON.stringify({ ...common, input: ASKED });
    case "messages":
      return JSON.stringify({ ...common, max_tokens: 1024, messages: said });
    default:
      return JSON.stringify({ ...common, messages: said });
  }
}

/** `base` is the proxy's address without a slash at its end. */
export function asCurl(record: RequestRecord, base: string): string {
  const lines = [`curl -N -X ${record.method} ${quoted(base + record.path)}`];
  lines.push('-H "Authorization: Bearer $LLM_PROXY_KEY"');
  if (record.format === "messages") lines.push("-H 'anthropic-version: 2023-06-01'");
  if (record.method !== "GET" && record.method !== "DELETE" && record.model !== undefined) {
    lines.push("-H 'Content-Type: application/json'", `-d ${quoted(bodyOf(record))}`);
  }
  return lines.join(" \\\n  ");
}
