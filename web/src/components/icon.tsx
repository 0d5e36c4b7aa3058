/** Small line icons, drawn in the text's colour; always beside words, so hidden from readers. */

const PATHS = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  rescue: "M13 8a5 5 0 1 1-1.6-3.7M13 2.6v2.6h-2.6",
  clock: "M8 4.6V8l2.3 1.6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z",
  cut: "M2 8h4.2M9.8 8H14M7 4.6l-.8 6.8M9.8 4.6L9 11.4",
  leave: "M9 3H4v10h5M7.5 8H14M11.6 5.6L14 8l-2.4 2.4",
  stop: "M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5zM8 5v3.4M8 10.9v.1",
  warn: "M8 2.2l6.3 11.3H1.7zM8 6.4v3M8 11.4v.1",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  sun: "M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1M11 8a3 3 0 1 1-6 0 3 3 0 0 1 6 0z",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.4 5.4 0 1 0 13 9.6z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  down: "M4 6.2L8 10l4-3.8",
  arrow: "M2.5 8h10M9.2 4.8L12.5 8l-3.3 3.2",
  signOut: "M6.5 3H3v10h3.5M7 8h6.5M11 5.4L13.5 8 11 10.6",
  up: "M4 9.8L8 6l4 3.8",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3L14 14",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2l7.5 4.8L5 12.8z",
  download: "M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13.3h10",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2A2.6 2.6 0 0 0 9 3.3l-.8.8M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9A2.6 2.6 0 0 0 7 12.7l.8-.8",
  open: "M9 3h4v4M13 3L7.5 8.5M11 9.5V13H3V5h3.5",
  send: "M2.5 8L13.5 3l-3 10.5-2.6-4z",
  key: "M10.5 9a3.5 3.5 0 1 0-3.3-2.3L2.5 11.4v2.1h2.6v-1.6h1.6v-1.6l1-1A3.5 3.5 0 0 0 10.5 9zM11.4 4.7v.1",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  plug: "M5.5 2v3.5M10.5 2v3.5M4 5.5h8V8a4 4 0 0 1-8 0zM8 12v2.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
