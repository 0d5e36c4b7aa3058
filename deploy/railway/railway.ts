// The project as code: copy this file to `.railway/railway.ts` of your own repository, then
// `railway config plan` and `railway config apply`. PROXY_URL and API_KEY are set on the service
// afterwards; MY_ACCESS_KEY is generated and shown there.
import { defineRailway, image, project, service, volume } from "railway/iac";

export default defineRailway(() => {
  const data = volume("data");
  const proxy = service("llm-proxy", {
    source: image("ghcr.io/ranbo12138/llm-proxy:1"),
    healthcheck: "/health",
    healthcheckTimeout: 30,
    replicas: 1,
    env: {
      MY_ACCESS_KEY: "${{secret(48)}}",
      MAX_RETRIES: "3",
      DRAIN_TIMEOUT_S: "60",
      // Without it the platform stops the process at once and cuts open streams.
      RAILWAY_DEPLOYMENT_DRAINING_SECONDS: "75",
      // Volumes belong to root there.
      RAILWAY_RUN_UID: "0",
    },
    volumeMounts: { "/data": data },
  });
  return project("llm-proxy", { resources: [proxy] });
});
