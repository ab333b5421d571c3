/**
 * Two test projects: `node` (plain Node) and `workerd` (inside the Workers runtime, with wrangler.toml's bindings).
 * It never lets a project with no tests pass.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                HALFMQ_ROOT_KEY: "test-root-key-0123456789abcdef",
                HALFMQ_LOOPBACK: "1",
              },
            },
          }),
        ],
        test: {
          name: "workerd",
          include: ["test/**/*.worker.test.ts"],
          testTimeout: 30_000,
        },
      },
    ],
  },
});
