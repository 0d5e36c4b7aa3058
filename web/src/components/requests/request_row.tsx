/** One request in the list: a row that opens, by pointer or key, to tell what happened. */

import type { ComponentChildren } from "preact";
import type { RequestRecord } from "../../api/types";
import { dollars } from "../../format/money";
import { UNKNOWN, count, exact } from "../../format/number";
import { clock, fullTime, took } from "../../format/time";
import { words } from "../../i18n";
import { language } from "../../state/preferences";
import { openId, openRequest } from "../../state/requests";
import { Icon } from "../icon";
import { OutcomeBadge } from "../outcome_badge";

export const COLUMNS = 10;

interface CellProps {
  name: string;
  kind: string;
  children: ComponentChildren;
  title?: string | undefined;
}

/** Roles are spelt out, as browsers forget them when a small screen lays the table out as cards. */
function Cell({ name, kind, children, title }: CellProps) {
  return (
    <td role="cell" class={`cell-${kind}`} data-name={name} title={title}>
      {children}
    </td>
  );
}

function Model({ record }: { record: RequestRecord }) {
  const asked = record.model ?? UNKNOWN;
  if (record.served === undefined || record.served === record.model) return <>{asked}</>;
  return (
    <>
      {asked} <Icon name="arrow" />
      <span class="visually-hidden">{words.value.requests.servedAs}</span> {record.served}
    </>
  );
}

function Tokens({ record }: { record: RequestRecord }) {
  const input = count(record.usage?.input, language.value);
  const output = count(record.usage?.output, language.value);
  if (record.usage?.input === undefined && record.usage?.output === undefined) return <>{UNKNOWN}</>;
  return (
    <>
      <span aria-hidden="true">
        {input} <span class="dim">/</span> {output}
      </span>
      <span class="visually-hidden">{words.value.requests.tokensPair(input, output)}</span>
    </>
  );
}

function Target({ record }: { record: RequestRecord }) {
  if (record.upstream === undefined) return <>{UNKNOWN}</>;
  return (
    <>
      {record.upstream} <span class="dim">{record.key}</span>
    </>
  );
}

export function RequestRow({ record, today }: { record: RequestRecord; today: Date }) {
  const said = words.value.requests;
  const isOpen = openId.value === record.id;
  const attempts = record.attempts?.length ?? 0;
  const time = clock(record.at_ms, today);
  const tokens = record.usage;
  return (
    <tr role="row" class={isOpen ? "request is-open" : "request"}>
      <Cell name={said.columns.time} kind="time" title={fullTime(record.at_ms, language.value)}>
        <button
          type="button"
          class="opener"
          aria-haspopup="dialog"
          onClick={() => openRequest(record.id)}
        >
          <Icon name="down" />
          <span class="visually-hidden">{said.open}</span>
          <time class="figures" dateTime={new Date(record.at_ms).toISOString()}>
            {time}
          </time>
        </button>
      </Cell>
      <Cell name={said.columns.model} kind="model" title={record.model}>
        <Model record={record} />
      </Cell>
      <Cell name={said.columns.target} kind="target" title={record.key}>
        <Target record={record} />
      </Cell>
      <Cell name={said.columns.result} kind="result">
        <OutcomeBadge record={record} />
        {record.outcome !== "ok" && (record.status ?? 0) > 0 && (
          <span class="code figures">{record.status}</span>
        )}
      </Cell>
      <Cell name={said.columns.attempts} kind="attempts">
        <span class={attempts > 1 ? "figures many" : "figures"}>{attempts}</span>
      </Cell>
      <Cell name={said.columns.firstToken} kind="first">
        <span class="figures">{took(record.first_token_ms)}</span>
      </Cell>
      <Cell name={said.columns.total} kind="total">
        <span class="figures">{took(record.total_ms ?? 0)}</span>
      </Cell>
      <Cell
        name={said.columns.tokens}
        kind="tokens"
        title={
          tokens?.input !== undefined && tokens.output !== undefined
            ? `${exact(tokens.input)} / ${exact(tokens.output)}`
            : undefined
        }
      >
        <span class="figures">
          <Tokens record={record} />
        </span>
      </Cell>
      <Cell name={said.columns.cost} kind="cost">
        <span class="figures">{dollars(record.cost_nano)}</span>
      </Cell>
      <Cell name={said.columns.caller} kind="caller" title={record.client}>
        {record.caller ?? UNKNOWN}
      </Cell>
    </tr>
  );
}
