/** The built bundle under miniflare's own API, with a bucket: the Workers runtime as Cloudflare's tools run it, with an address that anyone can call. */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { compatibilityDate, workerBundle } from "../../src/cli/bundle.ts";

const OBJECTS = {
  QUEUE: { className: "QueueObject", useSQLite: true },
  REGISTRY: { className: "RegistryObject", useSQLite: true },
  COORDINATOR: { className: "CoordinatorObject", useSQLite: true },
  PUSHER: { className: "PusherObject", useSQLite: true },
  SCHEDULER: { className: "SchedulerObject", useSQLite: true },
  GATEWAY: { className: "GatewayObject", useSQLite: true },
};

export interface InMiniflare {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export async function startMiniflare(rootKey: string, dataFolder: string): Promise<InMiniflare> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: "halfmq",
      modules: [{ type: "ESModule", path: "worker.js", contents: await workerBundle() }],
      compatibilityDate: await compatibilityDate(),
      host: "127.0.0.1",
      port: 0,
      bindings: { HALFMQ_ROOT_KEY: rootKey, HALFMQ_LOOPBACK: "1" },
      durableObjects: OBJECTS,
      r2Buckets: { BODIES: "bodies" },
      resourcePersistencePath: dataFolder,
    }),
  );
  const { origin } = await miniflare.ready;
  return { url: origin, stop: () => miniflare.dispose() };
}
