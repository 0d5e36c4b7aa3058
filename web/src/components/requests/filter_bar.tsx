/** What is looked for: words, kinds of ending, and exact values; each of them stands in the address. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { words } from "../../i18n";
import { faultWords } from "../../i18n/faults";
import { FACETS, type Facet, SHOWS, chooseFacet, chooseShow, clearFilters, filters, isFiltered } from "../../state/filters";
import { snapshot } from "../../state/page";
import { language } from "../../state/preferences";
import { setQuery } from "../../state/address";
import { list } from "../../state/requests";
import { Icon } from "../icon";

function Search() {
  const said = words.value.requests;
  const input = useRef<HTMLInputElement>(null);
  const wanted = filters.value.facets.q ?? "";
  useEffect(() => {
    // Changed from elsewhere: going back, or a removed chip.
    if (input.current !== null && input.current.value.trim() !== wanted) input.current.value = wanted;
  }, [wanted]);
  return (
    <div class="search">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        aria-label={said.search}
        placeholder={said.search}
        defaultValue={wanted}
        maxLength={200}
        autocapitalize="off"
        spellcheck={false}
        onInput={(event) => chooseFacet("q", event.currentTarget.value.trim())}
      />
    </div>
  );
}

function Shows() {
  const said = words.value.requests;
  return (
    <div class="chips" role="group" aria-label={said.filterLabel}>
      {SHOWS.map((name) => (
        <button
          key={name}
          type="button"
          class="chip"
          aria-pressed={filters.value.show === name}
          onClick={() => chooseShow(name)}
        >
          {said.filters[name]}
        </button>
      ))}
    </div>
  );
}

interface Choice {
  value: string;
  text: string;
}

const plain = (values: Iterable<string | undefined>): Choice[] =>
  [...new Set(values)].flatMap((value) => (value ? [{ value, text: value }] : [])).sort((a, b) => (a.text < b.text ? -1 : 1));

interface SelectProps {
  name: string;
  value: string;
  choices: readonly Choice[];
  onChoose: (value: string | null) => void;
}

function Select({ name, value, choices, onChoose }: SelectProps) {
  // A value out of the address need not be among what is known here.
  const isKnown = value === "" || choices.some((choice) => choice.value === value);
  return (
    <label class="select">
      <span>{name}</span>
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value || null)}>
        <option value="">{words.value.requests.anyValue}</option>
        {!isKnown && <option value={value}>{value}</option>}
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.text}
          </option>
        ))}
      </select>
    </label>
  );
}

const STATUSES = ["2xx", "4xx", "5xx", "400", "404", "429", "500", "502", "503", "504"];

/** An upstream and a key's label in one value; neither holds a line break. */
const pair = (upstream: string, key: string) => `${upstream}\n${key}`;

function Selects() {
  const said = words.value.requests;
  const { facets } = filters.value;
  const records = list.value.shown;
  const upstreams = snapshot.value?.status.upstreams ?? [];
  const keys = upstreams.flatMap((upstream) =>
    upstream.keys.map((key) => ({ value: pair(upstream.name, key.label), text: `${upstream.name} ${key.label}` })),
  );
  const chosenKey = facets.upstream || facets.key ? pair(facets.upstream ?? "", facets.key ?? "") : "";
  return (
    <div class="selects">
      <Select
        name={said.columns.model}
        value={facets.model ?? ""}
        choices={plain(records.map((record) => record.model))}
        onChoose={(value) => chooseFacet("model", value)}
      />
      <Select
        name={said.columns.target}
        value={chosenKey}
        choices={keys}
        onChoose={(value) => {
          const [upstream, key] = (value ?? "\n").split("\n");
          setQuery({ upstream: upstream ?? null, key: key ?? null });
        }}
      />
      <Select
        name={said.columns.caller}
        value={facets.caller ?? ""}
        choices={plain(records.map((record) => record.caller))}
        onChoose={(value) => chooseFacet("caller", value)}
      />
      <Select
        name={said.status}
        value={facets.status ?? ""}
        choices={plain(STATUSES)}
        onChoose={(value) => chooseFacet("status", value)}
      />
    </div>
  );
}

/** What is chosen, each with the way to drop it; the search field is its own. */
function Chosen() {
  const said = words.value.requests;
  const { facets } = filters.value;
  const chosen = FACETS.filter((facet): facet is Exclude<Facet, "q"> => facet !== "q" && Boolean(facets[facet]));
  if (!isFiltered.value) return null;
  return (
    <div class="chosen">
      {chosen.map((facet) => {
        const value = facets[facet] ?? "";
        const text = facet === "fault" ? faultWords(value, language.value).says : value;
        return (
          <button
            key={facet}
            type="button"
            class="chip"
            aria-label={said.drop(`${said.facets[facet]} ${text}`)}
            onClick={() => chooseFacet(facet, null)}
          >
            <span class="dim">{said.facets[facet]}</span> {text}
            <Icon name="cross" />
          </button>
        );
      })}
      <button type="button" class="chip" onClick={clearFilters}>
        {said.clear}
      </button>
    </div>
  );
}

export function FilterBar() {
  const said = words.value.requests;
  const { q: _, ...exact } = filters.value.facets;
  const isOpen = useSignal(Object.keys(exact).length > 0);
  return (
    <div class="filter-bar">
      <Search />
      <Shows />
      <button
        type="button"
        class="chip more"
        aria-expanded={isOpen.value}
        onClick={() => {
          isOpen.value = !isOpen.value;
        }}
      >
        {said.more}
        <Icon name="down" />
      </button>
      {isOpen.value && <Selects />}
      <Chosen />
    </div>
  );
}
