/**
 * Three test projects: `node` (plain Node), `workerd` (inside the Workers runtime, with wrangler.toml's bindings) and `bucket`
 * (the same with a bucket for large bodies and old messages). A fourth one, `databases`, is there only for `npm run test:databases`, which starts
 * what it needs. It never lets a project with no tests pass.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const { HALFMQ_TEST_POSTGRES: postgres, HALFMQ_TEST_MYSQL: mysql } = process.env;

const databases = {
  test: { name: "databases", include: ["test/**/*.databases.test.ts"], testTimeout: 30_000 },
};

/** Far more than any test takes on two busy processors: it ends what hangs, and judges no speed. */
const TIMEOUTS = { testTimeout: 120_000, hookTimeout: 120_000 };

const BUCKET_TESTS = "test/bodies/**/*.worker.test.ts";

/** The runtime, with more bindings. */
const workerd = (
  more: { r2Buckets?: string[]; d1Databases?: Record<string, string> },
  bindings: Readonly<Record<string, string>> = {},
) =>
  cloudflareTest({
    wrangler: { configPath: "./wrangler.toml" },
    miniflare: {
      bindings: {
        HALFMQ_ROOT_KEY: "test-root-key-0123456789abcdef",
        HALFMQ_LOOPBACK: "1",
        ...bindings,
      },
      ...more,
    },
  });

export default defineConfig({
  test: {
    projects: [
      ...(postgres === undefined && mysql === undefined ? [] : [databases]),
      {
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts"],
          ...TIMEOUTS,
        },
      },
      {
        // For what the client does with databases of others.
        plugins: [workerd({ d1Databases: { TEST_DATABASE: "test" } })],
        test: {
          name: "workerd",
          include: ["test/**/*.worker.test.ts"],
          exclude: [BUCKET_TESTS],
          ...TIMEOUTS,
        },
      },
      {
        // Queues so small that a few megabytes of messages make old ones go to the bucket.
        plugins: [
          workerd(
            { r2Buckets: ["BODIES"] },
            { HALFMQ_QUEUE_BYTES: "4000000", HALFMQ_COLD_AFTER_MS: "1" },
          ),
        ],
        test: { name: "bucket", include: [BUCKET_TESTS], ...TIMEOUTS },
      },
    ],
  },
});
