/**
 * Two test projects: `node` (plain Node) and `workerd` (inside the Workers runtime, with wrangler.toml's bindings). A third one,
 * `databases`, is there only for `npm run test:databases`, which starts what it needs.
 * It never lets a project with no tests pass.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const { HALFMQ_TEST_POSTGRES: postgres, HALFMQ_TEST_MYSQL: mysql } = process.env;

const databases = {
  test: { name: "databases", include: ["test/**/*.databases.test.ts"], testTimeout: 30_000 },
};

export default defineConfig({
  test: {
    projects: [
      ...(postgres === undefined && mysql === undefined ? [] : [databases]),
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
              // For what the client does with databases of others.
              d1Databases: { TEST_DATABASE: "test" },
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
