/** The chosen number over time, drawn by uPlot; its colours follow the theme. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { NumbersAnswer } from "../../api/types";
import { dollars } from "../../format/money";
import { UNKNOWN, count } from "../../format/number";
import { LINES, type LineName, type Metric, readLine } from "../../format/metrics";
import { took } from "../../format/time";
import { words } from "../../i18n";
import { type Language, language, theme } from "../../state/preferences";

const HEIGHT = 170;
const DAY_S = 86_400;

/** Colour and pattern of the first, second and third line: no colour stands alone. */
const LOOKS = [
  { colour: "--answer-bar", dash: [] },
  { colour: "--ok-bar", dash: [6, 4] },
  { colour: "--bad-bar", dash: [2, 3] },
] as const;

export function valueWords(line: LineName, value: number | null | undefined, chosen: Language): string {
  if (value === null || value === undefined) return UNKNOWN;
  switch (line) {
    case "success":
      return `${Math.floor(value * 1000) / 10}%`;
    case "p50":
    case "p95":
      return took(value);
    case "cost":
      return dollars(value * 1e9);
    default:
      return count(Math.round(value), chosen);
  }
}

function dataOf(answer: NumbersAnswer, metric: Metric): uPlot.AlignedData {
  const times = answer.series.map((bucket) => bucket.at_ms / 1000);
  const lines = LINES[metric].map((line) => answer.series.map((bucket) => readLine(line, bucket)));
  return [times, ...lines];
}

function timeWords(seconds: number, isLong: boolean): string {
  const at = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return isLong ? day : time;
}

function optionsOf(place: HTMLElement, answer: NumbersAnswer, metric: Metric, chosen: Language): uPlot.Options {
  const said = words.peek().numbers;
  const colour = (name: string) => getComputedStyle(place).getPropertyValue(name).trim();
  const lines = LINES[metric];
  const isLong = answer.bucket_s * answer.series.length > DAY_S;
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: colour("--dim"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { live: true },
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { time: true },
      y: { range: (_plot, _low, high) => (metric === "success" ? [0, 1] : [0, Math.max(high ?? 0, metric === "cost" ? 1e-6 : 1) * 1.05]) },
    },
    axes: [
      { ...axis, values: (_plot, marks) => marks.map((mark) => timeWords(mark, isLong)), space: 64 },
      {
        ...axis,
        size: 58,
        space: 34,
        values: (_plot, marks) => marks.map((mark) => valueWords(lines[0] ?? "requests", mark, chosen)),
      },
    ],
    series: [
      { label: said.at, value: (_plot, at) => (at === null ? UNKNOWN : timeWords(at, false)) },
      ...lines.map((line, at) => {
        const look = LOOKS[at] ?? LOOKS[0];
        return {
          label: said.lines[line],
          stroke: colour(look.colour),
          width: 2,
          dash: [...look.dash],
          ...(at === 0 ? { fill: colour("--accent-soft") } : {}),
          points: { show: false },
          value: (_plot: uPlot, value: number | null) => valueWords(line, value, chosen),
        };
      }),
    ],
  };
}

/** Whether the system asks for dark: only then a change of it changes the colours. */
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

export function Chart({ answer, metric }: { answer: NumbersAnswer; metric: Metric }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(answer);
  latest.current = answer;
  const [chosen, look] = [language.value, theme.value];

  useEffect(() => {
    const box = place.current;
    if (box === null) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(box, latest.current, metric, chosen), dataOf(latest.current, metric), box);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }));
    resized.observe(box);
    systemDark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      systemDark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [metric, chosen, look, answer.window]);

  useEffect(() => plot.current?.setData(dataOf(answer, metric)), [answer]);

  return <div class="chart" ref={place} role="img" aria-label={words.value.numbers.chart(words.value.numbers.metrics[metric])} />;
}
