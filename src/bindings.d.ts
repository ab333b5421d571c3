/**
 * The types of the Worker's bindings, as wrangler.toml and the launcher set them. Types only; it never holds a value.
 */
import type * as main from "./worker.ts";

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof main;
      durableNamespaces:
        | "QueueObject"
        | "RegistryObject"
        | "CoordinatorObject"
        | "PusherObject"
        | "GatewayObject"
        | "SchedulerObject";
    }

    interface Env {
      /** src/queue/object.ts */
      readonly QUEUE: DurableObjectNamespace<main.QueueObject>;
      /** src/registry/object.ts */
      readonly REGISTRY: DurableObjectNamespace<main.RegistryObject>;
      /** src/coordinator/object.ts */
      readonly COORDINATOR: DurableObjectNamespace<main.CoordinatorObject>;
      /** src/push/object.ts */
      readonly PUSHER: DurableObjectNamespace<main.PusherObject>;
      /** src/gateway/object.ts */
      readonly GATEWAY: DurableObjectNamespace<main.GatewayObject>;
      /** src/scheduler/object.ts */
      readonly SCHEDULER: DurableObjectNamespace<main.SchedulerObject>;
      /** Where bodies above 1 MiB and old messages go; absent: the ones are refused, the others stay. */
      readonly BODIES?: R2Bucket;
      /** The key with all scopes. Absent: every route but health answers 503 `not_configured`. */
      readonly HALFMQ_ROOT_KEY?: string;
      /** Comma-separated host names or addresses that webhooks may call beside public ones. */
      readonly HALFMQ_ALLOWED_TARGETS?: string;
      /** Comma-separated origins whose pages may call from a browser; absent: none. */
      readonly HALFMQ_ALLOWED_ORIGINS?: string;
      /** Bytes of storage past which a queue takes no sends; absent: 9 GB. */
      readonly HALFMQ_QUEUE_BYTES?: string;
      /** Age in milliseconds from which old messages may go to the bucket; absent: an hour. */
      readonly HALFMQ_COLD_AFTER_MS?: string;
      /** "off": a send to an unknown topic is refused instead of making it. */
      readonly HALFMQ_AUTO_CREATE?: string;
      /** "1": the server listens on loopback only, so webhooks may call loopback. */
      readonly HALFMQ_LOOPBACK?: string;
      /** What GET /v1/health says as version. */
      readonly HALFMQ_VERSION?: string;
    }
  }
}
