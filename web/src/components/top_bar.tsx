/** Name, language, theme, and the way out. */

import { words } from "../i18n";
import { signOut, snapshot } from "../state/page";
import { isSignedIn, session } from "../state/session";
import { chooseLanguage, language, nextTheme, theme } from "../state/preferences";
import { Icon, type IconName } from "./icon";

const THEME_ICONS: Record<string, IconName> = { system: "system", light: "sun", dark: "moon" };

export function TopBar() {
  const said = words.value;
  const version = snapshot.value?.status.version;
  const other = language.value === "en" ? "zh" : "en";
  return (
    <header class="top">
      <div class="brand">
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" />
          <path d="M6 16h6M12 16c5 0 4-7 9-7h5" />
          <path class="mark-second" d="M12 16c5 0 4 7 9 7h5" />
          <circle cx="12" cy="16" r="3" />
        </svg>
        <span class="name">LLM Proxy</span>
        {version !== undefined && (
          <span class="version" title={said.facts.version}>
            {version}
          </span>
        )}
      </div>
      <div class="tools">
        {session.value?.caller && (
          <span class="who" title={said.bar.signedInAs(session.value.caller)}>
            {session.value.caller}
          </span>
        )}
        <button
          type="button"
          class="button quiet"
          lang={other === "zh" ? "zh-CN" : "en"}
          onClick={() => chooseLanguage(other)}
        >
          {said.other}
        </button>
        <button
          type="button"
          class="button quiet square"
          title={said.bar.theme[theme.value]}
          aria-label={`${said.bar.switchTheme}. ${said.bar.theme[theme.value]}`}
          onClick={nextTheme}
        >
          <Icon name={THEME_ICONS[theme.value] ?? "system"} />
        </button>
        {isSignedIn.value && (
          <button
            type="button"
            class="button quiet square"
            title={said.bar.signOut}
            aria-label={said.bar.signOut}
            onClick={() => void signOut()}
          >
            <Icon name="signOut" />
          </button>
        )}
      </div>
    </header>
  );
}
