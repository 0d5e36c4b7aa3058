/** How a request ended: icon, word and colour. Rescued ones are a merit, never an error. */

import type { RequestRecord } from "../api/types";
import { words } from "../i18n";
import { isRescued } from "../state/request_list";
import { Icon, type IconName } from "./icon";

type Ending = RequestRecord["outcome"] | "rescued";

const LOOKS: Record<Ending, { tone: string; icon: IconName }> = {
  ok: { tone: "ok", icon: "check" },
  rescued: { tone: "merit", icon: "rescue" },
  client_error: { tone: "calm", icon: "warn" },
  rate_limited: { tone: "bad", icon: "clock" },
  upstream_error: { tone: "bad", icon: "cross" },
  cut: { tone: "bad", icon: "cut" },
  client_gone: { tone: "calm", icon: "leave" },
  refused: { tone: "calm", icon: "stop" },
};

export function OutcomeBadge({ record }: { record: RequestRecord }) {
  const ending: Ending = isRescued(record) ? "rescued" : record.outcome;
  const look = LOOKS[ending] ?? LOOKS.upstream_error;
  return (
    <span class={`badge tone-${look.tone}`}>
      <Icon name={look.icon} />
      {words.value.requests.outcomes[ending] ?? ending}
    </span>
  );
}
