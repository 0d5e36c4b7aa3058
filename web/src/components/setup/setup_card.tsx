/** How to connect a client: the addresses as this browser sees them, the key's hint, one call. */

import { root } from "../api/client";
import type { Status } from "../api/types";
import { words } from "../i18n";
import { list } from "../state/page";
import { rememberFold, rememberedFold } from "../state/preferences";
import { CopyButton } from "./copy_button";
import { Icon } from "./icon";

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** A model name that can be asked for: a configured one, else the last one asked for. */
function someModel(status: Status): string {
  const configured = (status.upstreams ?? []).flatMap((upstream) => upstream.models);
  const named = configured.find((model) => !model.includes("*"));
  return named ?? list.value.shown.find((record) => record.model)?.model ?? "gpt-5";
}

/** Quote for a POSIX shell: model names come from anywhere. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function Address({ name, address, note }: { name: string; address: string; note: string }) {
  return (
    <div class="address">
      <h3>{name}</h3>
      <div class="copyable">
        <code>{address}</code>
        <CopyButton text={address} what={name} />
      </div>
      <p class="note">{note}</p>
    </div>
  );
}

export function ConnectCard({ status }: { status: Status }) {
  const said = words.value.connect;
  const base = root.href.replace(/\/$/, "");
  const body = JSON.stringify({
    model: someModel(status),
    messages: [{ role: "user", content: "Hello" }],
  });
  const curl = [
    `curl ${quoted(`${base}/v1/chat/completions`)} \\`,
    `  -H ${quoted(`Authorization: Bearer ${said.curlKey}`)} \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(body)}`,
  ].join("\n");
  // Unfolded until the first success, then as it was left.
  const isOpen = rememberedFold("connect") ?? status.totals.ok === 0;
  return (
    <details
      class="card connect"
      open={isOpen}
      onToggle={(event) => {
        if (event.currentTarget.open !== isOpen) rememberFold("connect", event.currentTarget.open);
      }}
    >
      <summary>
        <Icon name="plug" />
        <h2>{said.title}</h2>
        <code class="glance">{base}/v1</code>
        <Icon name="down" />
      </summary>
      <div class="connect-body">
        <Address name={said.withV1} address={`${base}/v1`} note={said.withV1For} />
        <Address name={said.withoutV1} address={base} note={said.withoutV1For} />
        <div class="address">
          <h3>{said.key}</h3>
          <div class="copyable">
            <code>{status.key_hint ?? "…"}</code>
          </div>
          <p class="note">{said.keyFor}</p>
        </div>
        <div class="address curl">
          <h3>{said.curl}</h3>
          <div class="copyable">
            <pre tabIndex={0} aria-label={said.curl}>
              {curl}
            </pre>
            <CopyButton text={curl} what={said.curl} />
          </div>
          {LOOPBACK.has(root.hostname) && (
            <p class="note">
              {said.loopback} <code>{root.hostname}</code>
            </p>
          )}
        </div>
      </div>
    </details>
  );
}
