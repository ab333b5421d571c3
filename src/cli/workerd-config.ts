/** The configuration of workerd, as text. It holds no secret: those come from workerd's environment. */

export interface WorkerdConfig {
  /** `127.0.0.1:8787`; port 0 means any free one. */
  readonly address: string;
  readonly compatibilityDate: string;
  /** Names of the variables of workerd's environment that become bindings. */
  readonly variables: readonly string[];
}

/** The module beside the configuration, and the folder there that holds the objects' databases. */
export const WORKER_FILE = "worker.js";
export const OBJECTS_FOLDER = "objects";

/**
 * The keys seed the objects' ids and name their folders: a change loses all data. Each lives at
 * src/<name>/object.ts.
 */
const OBJECTS = [
  { binding: "QUEUE", className: "QueueObject", uniqueKey: "halfmq-queue" },
  { binding: "REGISTRY", className: "RegistryObject", uniqueKey: "halfmq-registry" },
  { binding: "COORDINATOR", className: "CoordinatorObject", uniqueKey: "halfmq-coordinator" },
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
  // Two networks, because a public name may lead to a private address: src/platform/target.ts. The Worker's own fetch
  // reaches public addresses only; the binding, which serves targets allowed by name and loopback, reaches all.
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "${OBJECTS_FOLDER}", writable = true)),
    (name = "internet", network = (
      allow = ["public"],
      tlsOptions = (trustBrowserCas = true))),
    (name = "private", network = (
      allow = ["public", "private", "local"],
      tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "${config.address}", http = (), service = "main")],
);

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
