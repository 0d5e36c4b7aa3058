import { render } from "preact";
import { App } from "./app";
import { refreshSession } from "./state/page";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/panels.css";
import "./styles/requests.css";

const place = document.getElementById("page");
if (place === null) throw new Error("index.html has no #page");
render(<App />, place);
void refreshSession();
