/** The totals over all records kept, as the clients saw them; all a stranger may see. */

import type { ComponentChildren } from "preact";
import type { Totals as AllTotals } from "../../api/types";
import { count, exact, share } from "../../format/number";
import { words } from "../../i18n";
import { language } from "../../state/preferences";

interface TileProps {
  name: string;
  value: ComponentChildren;
  title?: string;
  note: string;
  tone?: "merit" | "bad" | "warn" | undefined;
}

function Tile({ name, value, title, note, tone }: TileProps) {
  return (
    <div class={`tile ${tone === undefined ? "" : `tile-${tone}`}`} title={title}>
      <dt>{name}</dt>
      <dd class="value figures">{value}</dd>
      <dd class="note">{note}</dd>
    </div>
  );
}

export function TotalsTiles({ totals }: { totals: AllTotals }) {
  const said = words.value.numbers;
  const short = (value: number) => count(value, language.value);
  return (
    <dl class="tiles">
      <Tile
        name={said.requests}
        value={short(totals.requests)}
        title={exact(totals.requests)}
        note={said.requestsNote(short(totals.client_errors), short(totals.client_gone))}
      />
      <Tile
        name={said.success}
        value={share(totals.ok, totals.ok + totals.failed)}
        title={said.successHelp}
        note={said.successNote}
      />
      <Tile
        name={said.rescued}
        value={short(totals.rescued)}
        title={exact(totals.rescued)}
        note={said.rescuedNote}
        tone={totals.rescued > 0 ? "merit" : undefined}
      />
      <Tile
        name={said.limits}
        value={short(totals.rate_limits_met)}
        title={exact(totals.rate_limits_met)}
        note={said.limitsNote(short(totals.rate_limited))}
      />
      <Tile
        name={said.failed}
        value={short(totals.failed)}
        title={exact(totals.failed)}
        note={said.failedNote(short(totals.rate_limited))}
        tone={totals.failed > 0 ? "bad" : undefined}
      />
      <Tile
        name={said.tokens}
        value={short(totals.input_tokens + totals.output_tokens)}
        title={said.tokensHelp}
        note={`${said.tokensIn} ${short(totals.input_tokens)} · ${said.tokensOut} ${short(totals.output_tokens)}`}
      />
    </dl>
  );
}

export function Totals({ totals }: { totals: AllTotals }) {
  const said = words.value.numbers;
  return (
    <section class="card numbers" aria-labelledby="numbers-title">
      <div class="card-head">
        <h2 id="numbers-title">
          {said.totals} <small>{said.since}</small>
        </h2>
      </div>
      <TotalsTiles totals={totals} />
    </section>
  );
}
