import { defineConfig } from "vite";

// The page lies at `/` and its files under `/dashboard/assets/`, all by relative address, so that
// it works under any sub-path. Nothing is inlined: the Content-Security-Policy allows neither
// inline scripts nor inline styles.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/llm_proxy/dashboard/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  experimental: {
    renderBuiltUrl: (file, { hostType }) =>
      hostType === "html" ? `./dashboard/${file}` : { relative: true },
  },
  plugins: [
    {
      // Vite drops the attribute; without it a chosen theme that is not the system's flashes.
      name: "block-rendering",
      transformIndexHtml: {
        order: "post",
        handler: (html) => html.replace('<script type="module"', '<script blocking="render" type="module"'),
      },
    },
  ],
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
