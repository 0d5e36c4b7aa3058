/** How a number compares with the span before; nothing is said where there is nothing to compare. */

export interface Change {
  /** `+12%`, `−0.3 pt`, `±0` */
  text: string;
  direction: "up" | "down" | "same";
}

const MINUS = "−";

function signed(value: number, text: string): Change {
  if (value === 0) return { text: "±0", direction: "same" };
  return value > 0 ? { text: `+${text}`, direction: "up" } : { text: MINUS + text, direction: "down" };
}

/** Above this a percentage says nothing any more. */
const MANY = 10;

/** Of a count or an amount; null where the one before is nothing or unknown. */
export function relative(now: number | null, before: number | null): Change | null {
  if (now === null || before === null || before === 0) return null;
  const ratio = now / before - 1;
  if (ratio + 1 >= MANY) return { text: `×${Math.round(ratio + 1)}`, direction: "up" };
  const percent = Math.round(ratio * 100);
  return signed(percent, `${Math.abs(percent)}%`);
}

/** Of a share, in percentage points. */
export function points(now: number | null, before: number | null): Change | null {
  if (now === null || before === null) return null;
  const tenths = Math.round((now - before) * 1000);
  return signed(tenths, `${(Math.abs(tenths) / 10).toFixed(1)} pt`);
}
