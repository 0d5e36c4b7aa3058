import { render } from "preact";
import { App } from "./app";
import { refreshSession } from "./state/page";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/status.css";
import "./styles/connect.css";
import "./styles/numbers.css";
import "./styles/upstreams.css";
import "./styles/requests.css";
import "./styles/request_detail.css";
import "./styles/sign_in.css";

const place = document.getElementById("page");
if (place === null) throw new Error("index.html has no #page");
render(<App />, place);
void refreshSession();
