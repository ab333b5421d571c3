/** The bindings of the deployment, without any platform's types: what the Worker and its objects are given. */

/** As much of a Durable Object namespace as is used, so that these shapes need no platform's types. */
interface ObjectNamespace {
  getByName(name: string): unknown;
}

/** As much of an R2 bucket as is used. */
export interface Bucket {
  put(
    name: string,
    value: Uint8Array | ReadableStream<Uint8Array>,
    options: { readonly sha256?: Uint8Array; readonly onlyIf?: Headers },
  ): Promise<unknown>;
  get(name: string): Promise<{ readonly size: number; arrayBuffer(): Promise<ArrayBuffer> } | null>;
  delete(names: string[]): Promise<void>;
}

/** The bindings of the deployment, as the Worker and the objects get them. */
export interface Env {
  readonly QUEUE: ObjectNamespace;
  readonly REGISTRY: ObjectNamespace;
  readonly COORDINATOR: ObjectNamespace;
  readonly PUSHER: ObjectNamespace;
  readonly GATEWAY: ObjectNamespace;
  readonly SCHEDULER: ObjectNamespace;
  /** Where bodies above 1 MiB and old messages go; absent: the ones are refused, the others stay. */
  readonly BODIES?: Bucket;
  readonly HALFMQ_ROOT_KEY?: string;
  /** Comma-separated host names or addresses that checks and pushes may also call. */
  readonly HALFMQ_ALLOWED_TARGETS?: string;
  /** Comma-separated origins whose pages may call from a browser; absent: none. */
  readonly HALFMQ_ALLOWED_ORIGINS?: string;
  /** Bytes of storage past which a queue takes no sends; absent: 9 GB. */
  readonly HALFMQ_QUEUE_BYTES?: string;
  /** Age in milliseconds from which old messages may go to the bucket; absent: an hour. */
  readonly HALFMQ_COLD_AFTER_MS?: string;
  /** "off": unknown topics are refused instead of made. */
  readonly HALFMQ_AUTO_CREATE?: string;
  /** "1": the server listens on loopback only, so loopback targets are allowed. */
  readonly HALFMQ_LOOPBACK?: string;
  readonly HALFMQ_VERSION?: string;
}
