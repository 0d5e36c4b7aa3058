/** The whole page, top to bottom; what is shown depends on who is looking. */

import { ConnectCard } from "./components/connect_card";
import { Icon } from "./components/icon";
import { Numbers } from "./components/numbers";
import { Requests } from "./components/requests";
import { SignIn } from "./components/sign_in";
import { StatusLine } from "./components/status_line";
import { TopBar } from "./components/top_bar";
import { Upstreams } from "./components/upstreams";
import { words } from "./i18n";
import { isLocked, isSignedIn, link, snapshot } from "./state/page";

/** Before the first answer. */
function Waiting() {
  const said = words.value.state;
  const isLost = link.value === "lost";
  return (
    <section class={`card status tone-${isLost ? "bad" : "calm"}`}>
      <div class="headline">
        <span class="badge-icon">
          <Icon name={isLost ? "stop" : "clock"} />
        </span>
        <h1>
          <span role="status">{isLost ? said.unreachable : said.connecting}</span>
        </h1>
      </div>
    </section>
  );
}

function Panels() {
  const known = snapshot.value;
  if (isLocked.value) return <SignIn />;
  if (known === null) return <Waiting />;
  // Right after a sign-in the snapshot is still one for everybody.
  if (!known.status.signed_in) {
    return (
      <>
        <StatusLine snapshot={known} />
        <Numbers totals={known.status.totals} />
        <SignIn />
      </>
    );
  }
  return (
    <>
      <StatusLine snapshot={known} />
      <ConnectCard status={known.status} />
      <Numbers totals={known.status.totals} />
      {known.status.upstreams !== undefined && <Upstreams snapshot={known} />}
      <Requests />
    </>
  );
}

export function App() {
  return (
    <>
      {isSignedIn.value && (
        <a class="skip" href="#requests">
          {words.value.skip}
        </a>
      )}
      <TopBar />
      <main>
        <Panels />
      </main>
    </>
  );
}
