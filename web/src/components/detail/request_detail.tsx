/** What happened to one request: why it failed, its attempts on a time bar, and the facts. */

import type { ComponentChildren } from "preact";
import { root } from "../../api/client";
import type { RequestRecord } from "../../api/types";
import { asCurl } from "../../format/curl";
import { dollars } from "../../format/money";
import { bytes, exact } from "../../format/number";
import { fullTime, took } from "../../format/time";
import { gapsOf } from "../../format/time_bar";
import { words } from "../../i18n";
import { saidByProxy } from "../../i18n/sentences";
import { language } from "../../state/preferences";
import { isRescued } from "../../state/request_list";
import { CopyButton } from "../copy_button";
import { Icon } from "../icon";
import { Bodies } from "./bodies";
import { Steps } from "./steps";

function Fact({ name, help, children }: { name: string; help?: string; children: ComponentChildren }) {
  return (
    <div title={help}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function usageWords(record: RequestRecord): string | null {
  const names = words.value.detail.usage;
  const kinds = ["input", "cache_read", "cache_write", "output", "reasoning"] as const;
  const parts = kinds.flatMap((kind) => {
    const tokens = record.usage?.[kind];
    return tokens === undefined ? [] : [`${names[kind]} ${exact(tokens)}`];
  });
  return parts.length > 0 ? parts.join(" · ") : null;
}

/** How its time passed, in numbers. */
function Times({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const { own } = gapsOf(record);
  // Its times are rounded, so a sum that leaves nothing means less than can be told.
  const ownAtLeast = own === 0 ? Number.EPSILON : own;
  return (
    <dl class="times">
      <Fact name={said.total}>
        <strong class="figures">{took(record.total_ms ?? 0)}</strong>
      </Fact>
      <Fact name={words.value.numbers.metrics.firstToken}>
        <strong class="figures">{took(record.first_token_ms)}</strong>
      </Fact>
      <Fact name={said.own} help={said.ownHelp}>
        <strong class="figures">{took(ownAtLeast)}</strong>
      </Fact>
    </dl>
  );
}

function Facts({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const usage = usageWords(record);
  return (
    <dl class="detail-facts">
      <Fact name={words.value.requests.columns.time}>{fullTime(record.at_ms, language.value)}</Fact>
      <Fact name={said.call}>
        <code>
          {record.method} {record.path}
        </code>{" "}
        · {record.format} · {record.stream ? said.streamed : said.notStreamed}
      </Fact>
      {usage !== null && <Fact name={said.tokens}>{usage}</Fact>}
      {record.cost_nano !== undefined && <Fact name={words.value.requests.columns.cost}>{dollars(record.cost_nano)}</Fact>}
      <Fact name={said.size}>
        {said.sizes(bytes(record.bytes_up ?? 0), bytes(record.bytes_down ?? 0))}
      </Fact>
      {record.caller !== undefined && <Fact name={words.value.requests.columns.caller}>{record.caller}</Fact>}
      {record.client !== undefined && <Fact name={said.client}>{record.client}</Fact>}
      {record.notice !== undefined && (
        <Fact name={said.notice}>{said.notices[record.notice] ?? record.notice}</Fact>
      )}
      <Fact name={said.id}>
        <span class="copyable">
          <code>{record.id}</code>
          <CopyButton text={record.id} what={said.id} />
        </span>
      </Fact>
    </dl>
  );
}

function Curl({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const command = asCurl(record, root.href.replace(/\/$/, ""));
  return (
    <div class="as-curl">
      <h3>{said.curl}</h3>
      <p class="note">{said.curlNote}</p>
      <div class="copyable">
        <pre tabIndex={0} aria-label={said.curl}>
          {command}
        </pre>
        <CopyButton text={command} what={said.curl} />
      </div>
    </div>
  );
}

export function RequestDetail({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  return (
    <div class="detail-body">
      {record.error !== undefined && (
        <p class="error-line">
          <Icon name="stop" />
          <strong>{said.error}</strong> {saidByProxy(record.error, language.value)}
        </p>
      )}
      {isRescued(record) && (
        <p class="merit-line">
          <Icon name="rescue" /> {said.rescued((record.attempts?.length ?? 1) - 1)}
        </p>
      )}
      {(record.broken_events ?? 0) > 0 && <p>{said.broken(record.broken_events ?? 0)}</p>}
      <Times record={record} />
      <h3>{said.timeline}</h3>
      <Steps record={record} />
      <Facts record={record} />
      <Bodies id={record.id} />
      <Curl record={record} />
    </div>
  );
}
