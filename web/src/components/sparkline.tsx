/** A number's course in a few pixels; gaps where it is unknown. Beside the number, so hidden from readers. */

const WIDTH = 100;
const HEIGHT = 26;
const MARGIN = 2;

/** One path per stretch without gaps; from zero, so that a small change does not look like a big one. */
export function pathsOf(values: readonly (number | null)[]): string[] {
  const highest = Math.max(...values.map((value) => value ?? 0), 0);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  const paths: string[] = [];
  let path = "";
  values.forEach((value, at) => {
    if (value === null) {
      if (path !== "") paths.push(path);
      path = "";
      return;
    }
    const height = highest === 0 ? 0 : (value / highest) * (HEIGHT - 2 * MARGIN);
    const point = `${(at * step).toFixed(1)} ${(HEIGHT - MARGIN - height).toFixed(1)}`;
    path += path === "" ? `M${point}` : `L${point}`;
  });
  if (path !== "") paths.push(path);
  // A lone point has no length; a short stroke makes it visible.
  return paths.map((one) => (one.includes("L") ? one : `${one}h1.5`));
}

export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {pathsOf(values).map((path) => (
        <path key={path} d={path} />
      ))}
    </svg>
  );
}
