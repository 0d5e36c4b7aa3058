import { defineConfig } from "vitest/config";

// The components need a document; the page's own address must be one that may be changed.
export default defineConfig({
  test: {
    environment: "happy-dom",
    environmentOptions: { happyDOM: { url: "http://proxy.test/" } },
  },
});
