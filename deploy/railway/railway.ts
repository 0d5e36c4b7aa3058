// The project as code: copy this file to `.railway/railway.ts` of your own repository. Set PROXY_URL,
// API_KEY and MY_ACCESS_KEY as variables of the service (`railway variable set`), then
// `railway config plan` and `railway config apply`. `preserve()` keeps what is set there, so that no
// secret stands in a file.
import { defineRailway, image, preserve, project, service, volume } from "railway/iac";

export default defineRailway(() => {
  const data = volume("llm-proxy-data", { sizeMB: 1024 });
  const proxy = service("llm-proxy", {
    source: image("ghcr.io/ranbo12138/llm-proxy:1"),
    healthcheck: "/health",
    healthcheckTimeout: 30,
    replicas: 1,
    env: {
      PROXY_URL: preserve(),
      API_KEY: preserve(),
      MY_ACCESS_KEY: preserve(),
      MAX_RETRIES: "3",
      DRAIN_TIMEOUT_S: "60",
      // Without it the platform stops the process at once and cuts open streams.
      RAILWAY_DEPLOYMENT_DRAINING_SECONDS: "75",
      // Volumes belong to root there.
      RAILWAY_RUN_UID: "0",
    },
    volumeMounts: { "/data": data },
  });
  return project("llm-proxy", { resources: [proxy, data] });
});
