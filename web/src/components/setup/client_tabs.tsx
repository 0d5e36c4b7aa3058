/** One tab per client: what to type where, to copy, and links that set it up with one click. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { CLIENTS, type Client, type ImportLink, type Setup, type Snippet } from "../../format/clients";
import { words } from "../../i18n";
import { accessKey } from "../../state/access_key";
import { rememberedChoice, rememberChoice } from "../../state/preferences";
import { CopyButton } from "../copy_button";
import { Icon } from "../icon";

/** Stands for a key that this page does not know. */
const PLACEHOLDER = "YOUR_ACCESS_KEY";

interface PanelProps {
  client: Client;
  base: string;
  model: string;
  hint: string;
  onKeyWanted: () => void;
}

function Code({ snippet, real, what }: { snippet: Snippet; real: () => string; what: string }) {
  return (
    <div class="snippet">
      {snippet.file !== undefined && <p class="note">{snippet.file}</p>}
      <div class="copyable">
        <pre tabIndex={0} aria-label={what}>
          {snippet.code}
        </pre>
        <CopyButton text={real} what={what} />
      </div>
    </div>
  );
}

/** Opens another program, or a site in a tab of its own. */
function follow(link: string): void {
  if (link.startsWith("https:")) window.open(link, "_blank", "noopener,noreferrer");
  else location.assign(link);
}

function Import({ link, setup, onKeyWanted }: { link: ImportLink; setup: Omit<Setup, "key">; onKeyWanted: () => void }) {
  return (
    <button
      type="button"
      class="button"
      onClick={() => {
        const key = accessKey.value;
        if (key === null) onKeyWanted();
        else follow(link.link({ ...setup, key }));
      }}
    >
      <Icon name="open" />
      {words.value.setup.importInto(link.app)}
    </button>
  );
}

function ClientPanel({ client, base, model, hint, onKeyWanted }: PanelProps) {
  const said = words.value.setup;
  const key = accessKey.value;
  const shown: Setup = { base, model, key: key === null ? PLACEHOLDER : hint };
  const real: Setup = { base, model, key: key ?? PLACEHOLDER };
  return (
    <div class="client-panel" role="tabpanel" id="client-panel" aria-labelledby={`client-${client.id}`} tabIndex={0}>
      <p>{said.steps[client.id]}</p>
      {client.fields(shown).length > 0 && (
        <dl class="client-fields">
          {client.fields(shown).map(([name, value]) => (
            <div key={name}>
              <dt>{said.fields[name]}</dt>
              <dd class="copyable">
                <code>{name === "key" ? hint : value}</code>
                <CopyButton
                  what={`${client.name} ${said.fields[name]}`}
                  text={() => {
                    if (name !== "key") return value;
                    if (key === null) onKeyWanted();
                    return key;
                  }}
                />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {client.snippets(shown).map((snippet, at) => (
        <Code
          key={at}
          snippet={snippet}
          what={`${client.name} ${snippet.file ?? said.terminal}`}
          real={() => client.snippets(real)[at]?.code ?? ""}
        />
      ))}
      {client.imports.length > 0 && (
        <div class="imports">
          {client.imports.map((link) => (
            <Import key={link.app} link={link} setup={{ base, model }} onKeyWanted={onKeyWanted} />
          ))}
          <span class="note">{said.importNote}</span>
        </div>
      )}
    </div>
  );
}

/** The tab that an arrow key leads to; null for other keys. */
function neighbour(key: string, at: number): number | null {
  const last = CLIENTS.length - 1;
  if (key === "ArrowRight") return at === last ? 0 : at + 1;
  if (key === "ArrowLeft") return at === 0 ? last : at - 1;
  if (key === "Home") return 0;
  return key === "End" ? last : null;
}

export function ClientTabs(props: Omit<PanelProps, "client">) {
  const remembered = CLIENTS.findIndex((client) => client.id === rememberedChoice("client"));
  const chosen = useSignal(Math.max(remembered, 0));
  const tabs = useRef<HTMLDivElement>(null);
  const client = CLIENTS[chosen.value];
  if (client === undefined) return null;

  function choose(at: number): void {
    chosen.value = at;
    rememberChoice("client", CLIENTS[at]?.id ?? "");
  }

  return (
    <div class="clients">
      <div
        class="tabs"
        role="tablist"
        aria-label={words.value.setup.clients}
        ref={tabs}
        onKeyDown={(event) => {
          const next = neighbour(event.key, chosen.value);
          if (next === null) return;
          event.preventDefault();
          choose(next);
          tabs.current?.querySelectorAll<HTMLElement>("[role=tab]")[next]?.focus();
        }}
      >
        {CLIENTS.map((one, at) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            class="tab"
            id={`client-${one.id}`}
            aria-selected={at === chosen.value}
            aria-controls="client-panel"
            tabIndex={at === chosen.value ? 0 : -1}
            onClick={() => choose(at)}
          >
            {one.name}
          </button>
        ))}
      </div>
      <ClientPanel client={client} {...props} />
    </div>
  );
}
