/**
 * The configuration of workerd, as text. Secrets come from workerd's environment, but for one that workerd takes from nowhere
 * else: the key of a cluster. A file with that is for its owner only.
 */

export interface ClusterConfig {
  /** `s3://bucket/prefix`. */
  readonly bucket: string;
  /** `https://…` of a store that is not Amazon's; absent: Amazon's of the region. */
  readonly endpoint?: string;
  readonly region: string;
  /** Where the other instances find this one: `10.0.0.5:7000`. */
  readonly address: string;
  /** What the others are told instead of the address, where that is a wildcard or behind NAT. */
  readonly advertise?: string;
  /** The secret of the cluster's instances, at least 32 bytes. */
  readonly key: string;
  /** Divides the lease of 20 s and what hangs on it. For tests only. */
  readonly timeDivisor?: number;
}

export interface WorkerdConfig {
  /** `127.0.0.1:8787`; port 0 means any free one. */
  readonly address: string;
  readonly compatibilityDate: string;
  /** Names of the variables of workerd's environment that become bindings. */
  readonly variables: readonly string[];
  /** Absent: this machine's disk alone holds the objects. */
  readonly cluster?: ClusterConfig;
}

/** The module beside the configuration, and the folder there that holds the objects' databases. */
export const WORKER_FILE = "worker.js";
export const OBJECTS_FOLDER = "objects";
/** In a cluster the bucket holds them, and the disk copies that are worth nothing by themselves: never the same folder. */
export const COPIES_FOLDER = "cluster-copies";

/**
 * The keys seed the objects' ids and name their folders: a change loses all data. Each lives at
 * src/<name>/object.ts, the pusher at src/push.
 */
const OBJECTS = [
  { binding: "QUEUE", className: "QueueObject", uniqueKey: "halfmq-queue" },
  { binding: "REGISTRY", className: "RegistryObject", uniqueKey: "halfmq-registry" },
  { binding: "COORDINATOR", className: "CoordinatorObject", uniqueKey: "halfmq-coordinator" },
  { binding: "PUSHER", className: "PusherObject", uniqueKey: "halfmq-pusher" },
  { binding: "SCHEDULER", className: "SchedulerObject", uniqueKey: "halfmq-scheduler" },
  { binding: "GATEWAY", className: "GatewayObject", uniqueKey: "halfmq-gateway" },
];

export function workerdConfig(config: WorkerdConfig): string {
  const namespaces = OBJECTS.map(
    ({ className, uniqueKey }) =>
      `(className = "${className}", uniqueKey = "${uniqueKey}", enableSql = true)`,
  );
  const bindings = [
    ...OBJECTS.map((o) => `(name = "${o.binding}", durableObjectNamespace = "${o.className}")`),
    `(name = "HALFMQ_PRIVATE", service = "private")`,
    ...config.variables.map((name) => `(name = "${name}", fromEnvironment = "${name}")`),
  ];
  const folder = config.cluster === undefined ? OBJECTS_FOLDER : COPIES_FOLDER;
  // Two networks, because a public name may lead to a private address: src/platform/target.ts. The Worker's own fetch
  // reaches public addresses only; the binding, which serves targets allowed by name and loopback, reaches all.
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "${folder}", writable = true)),
    (name = "internet", network = (
      allow = ["public"],
      tlsOptions = (trustBrowserCas = true))),
    (name = "private", network = (
      allow = ["public", "private", "local"],
      tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "${config.address}", http = (), service = "main")],
${config.cluster === undefined ? "" : clusterText(config.cluster)});

const worker :Workerd.Worker = (
  modules = [(name = "${WORKER_FILE}", esModule = embed "${WORKER_FILE}")],
  compatibilityDate = "${config.compatibilityDate}",
  compatibilityFlags = ["enable_request_signal"],
  durableObjectNamespaces = [
    ${namespaces.join(",\n    ")},
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    ${bindings.join(",\n    ")},
  ],
);
`;
}

function clusterText(cluster: ClusterConfig): string {
  const options = [
    `"aws_region=${cluster.region}"`,
    ...(cluster.endpoint === undefined ? [] : [`"aws_endpoint=${cluster.endpoint}"`]),
  ];
  const fields = [
    `bucket = "${cluster.bucket}"`,
    `bucketOptions = [${options.join(", ")}]`,
    `address = "${cluster.address}"`,
    ...(cluster.advertise === undefined ? [] : [`advertise = "${cluster.advertise}"`]),
    `key = "${cluster.key}"`,
    ...(cluster.timeDivisor === undefined ? [] : [`unsafeTimeDivisor = ${cluster.timeDivisor}`]),
  ];
  return `  cluster = (\n    ${fields.join(",\n    ")},\n  ),\n`;
}
