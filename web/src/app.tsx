/** The whole page, top to bottom; what is shown depends on who is looking. */

import { Drawer } from "./components/detail/drawer";
import { Icon } from "./components/icon";
import { CaptureBanner } from "./components/panels/capture_banner";
import { Errors } from "./components/panels/errors";
import { InFlight } from "./components/panels/in_flight";
import { Numbers } from "./components/panels/numbers";
import { Playground } from "./components/panels/playground";
import { Settings } from "./components/panels/settings";
import { Totals } from "./components/panels/totals";
import { Requests } from "./components/requests/requests";
import { SetupCard } from "./components/setup/setup_card";
import { SignIn } from "./components/sign_in";
import { StatusLine } from "./components/status_line";
import { TopBar } from "./components/top_bar";
import { Upstreams } from "./components/upstreams/upstreams";
import { words } from "./i18n";
import { link, snapshot } from "./state/page";
import { isLocked, isOwner, isSignedIn } from "./state/session";

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
        <Totals totals={known.status.totals} />
        <SignIn />
      </>
    );
  }
  return (
    <>
      <CaptureBanner snapshot={known} />
      <StatusLine snapshot={known} />
      <SetupCard status={known.status} />
      <Numbers totals={known.status.totals} />
      {known.status.upstreams !== undefined && <Upstreams snapshot={known} />}
      <InFlight />
      <Requests />
      <Errors />
      {isOwner.value && <Playground status={known.status} />}
      {isOwner.value && <Settings />}
      <Drawer />
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
