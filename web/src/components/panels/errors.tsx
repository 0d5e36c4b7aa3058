/** What went wrong in the chosen span, grouped by cause, with advice. */

import { useEffect } from "preact/hooks";
import type { ErrorGroup } from "../../api/types";
import { exact } from "../../format/number";
import { clock } from "../../format/time";
import { words } from "../../i18n";
import { faultWords } from "../../i18n/faults";
import { errors } from "../../state/panels";
import { language, rememberFold, rememberedFold } from "../../state/preferences";
import { leaveFor } from "../../state/requests";
import { Icon } from "../icon";

/** More keys than this are a number. */
const KEYS_SHOWN = 4;

/** Not a fault of an attempt: the proxy itself refused the requests. */
const REFUSED = "refused";

function Keys({ group }: { group: ErrorGroup }) {
  const shown = group.keys.slice(0, KEYS_SHOWN);
  const more = group.keys.length - shown.length;
  return (
    <p class="error-keys">
      {shown.map((key) => (
        <span key={`${key.upstream} ${key.key}`} class="trait">
          {key.upstream} {key.key} <span class="figures">×{exact(key.count)}</span>
        </span>
      ))}
      {more > 0 && <span class="dim">{words.value.errors.moreKeys(more)}</span>}
    </p>
  );
}

function Group({ group }: { group: ErrorGroup }) {
  const said = words.value.errors;
  const fault = group.fault === REFUSED ? { says: said.refused, advice: said.refusedAdvice } : faultWords(group.fault, language.value);
  const lost = group.count - group.rescued;
  return (
    <li class="error-group">
      <div class="error-head">
        <strong title={group.fault}>{fault.says}</strong>
        <span class="figures">{said.count(exact(group.count))}</span>
        {group.rescued > 0 && (
          <span class="badge tone-merit">
            <Icon name="rescue" />
            {said.rescued(exact(group.rescued))}
          </span>
        )}
        {lost > 0 && (
          <span class="badge tone-bad">
            <Icon name="cross" />
            {said.lost(exact(lost))}
          </span>
        )}
        <span class="dim">{said.last(clock(group.last_ms, new Date()))}</span>
        <button
          type="button"
          class="text-button"
          onClick={() => {
            leaveFor(group.fault === REFUSED ? { q: null, fault: null, outcome: REFUSED } : { fault: group.fault, outcome: null });
            document.getElementById("requests")?.scrollIntoView({ block: "start" });
            document.getElementById("requests-title")?.focus({ preventScroll: true });
          }}
        >
          {said.show}
        </button>
      </div>
      {group.keys.length > 0 && <Keys group={group} />}
      {fault.advice !== undefined && (
        <p class="advice">
          <strong>{words.value.detail.advice}</strong> {fault.advice}
        </p>
      )}
    </li>
  );
}

const FOLD = "errors";

export function Errors() {
  const said = words.value.errors;
  useEffect(errors.watch, []);
  const answer = errors.data.value;
  if (errors.isMissing.value || answer === null) return null;
  const isOpen = rememberedFold(FOLD) ?? false;
  return (
    <details
      class="card folded"
      open={isOpen}
      onToggle={(event) => {
        if (event.currentTarget.open !== isOpen) rememberFold(FOLD, event.currentTarget.open);
      }}
    >
      <summary>
        <Icon name="warn" />
        <h2>
          {said.title} <small>{said.kinds(answer.errors.length, words.value.numbers.spans[answer.window])}</small>
        </h2>
        <Icon name="down" />
      </summary>
      {answer.errors.length === 0 ? (
        <p class="empty">{said.none}</p>
      ) : (
        <ul class="error-groups">
          {answer.errors.map((group) => (
            <Group key={group.fault} group={group} />
          ))}
        </ul>
      )}
    </details>
  );
}
