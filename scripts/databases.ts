/**
 * `npm run test:databases`: the client's tests with Postgres and MariaDB, where their servers are installed (on Debian the
 * packages postgresql and mariadb-server). Each server is started here, with its data in a scratch folder and on a free port of
 * loopback, and ends with the tests. What is not installed is said to be left out; with `-- --all` that is a failure.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, globSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const START_MS = 60_000;
const POLL_MS = 100;

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly user: User;
}

interface Kind {
  readonly name: string;
  readonly packages: string;
  readonly variable: string;
  readonly test: string;
  /** Where its programs are; undefined when it is not installed. */
  readonly programs: string | undefined;
  /** Whose servers refuse to be root's, and run as this user then. */
  readonly account: string;
  readonly prepare: (place: Place) => void;
  readonly serve: (place: Place) => readonly [string, ...string[]];
  readonly url: (port: number) => string;
}

const found = (pattern: string): string | undefined => globSync(pattern).toSorted().at(-1);

const postgres = found("/usr/lib/postgresql/*/bin");
const mariadb = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].find((folder) =>
  existsSync(join(folder, "mariadbd")),
);

const KINDS: readonly Kind[] = [
  {
    name: "Postgres",
    packages: "postgresql",
    variable: "HALFMQ_TEST_POSTGRES",
    test: "test/client/databases/postgres.databases.test.ts",
    programs: postgres,
    account: "postgres",
    prepare: ({ folder, user }) => {
      const args = ["-D", join(folder, "data"), "-U", "test", "-A", "trust", "--no-sync"];
      execFileSync(join(postgres ?? "", "initdb"), args, { ...user, stdio: "pipe" });
    },
    serve: ({ folder, port }) => [
      join(postgres ?? "", "postgres"),
      "-D",
      join(folder, "data"),
      "-k",
      folder,
      "--listen_addresses=127.0.0.1",
      `--port=${port}`,
    ],
    url: (port) => `postgres://test@127.0.0.1:${port}/postgres`,
  },
  {
    name: "MariaDB",
    packages: "mariadb-server",
    variable: "HALFMQ_TEST_MYSQL",
    test: "test/client/databases/mysql.databases.test.ts",
    programs: mariadb,
    account: "mysql",
    prepare: ({ folder, user }) => {
      const args = ["--no-defaults", `--datadir=${join(folder, "data")}`];
      const more = ["--auth-root-authentication-method=normal", "--skip-test-db"];
      execFileSync("mariadb-install-db", [...args, ...more], { ...user, stdio: "pipe" });
    },
    serve: ({ folder, port }) => [
      join(mariadb ?? "", "mariadbd"),
      "--no-defaults",
      `--datadir=${join(folder, "data")}`,
      `--socket=${join(folder, "socket")}`,
      `--pid-file=${join(folder, "pid")}`,
      "--bind-address=127.0.0.1",
      `--port=${port}`,
    ],
    url: (port) => `mysql://root@127.0.0.1:${port}/mysql`,
  },
];

/** Runs the tests with a server of their own, and tells whether they passed. */
async function tested(kind: Kind): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-databases-"));
  const place: Place = { folder, port: await freePort(), user: userOf(kind.account) };
  if (place.user.uid !== undefined) chownSync(folder, place.user.uid, place.user.gid ?? 0);
  kind.prepare(place);
  const [program, ...args] = kind.serve(place);
  const server = spawn(program, args, { ...place.user, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [server.stdout, server.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const gone = once(server, "exit").then(() => {
    throw new Error(`${kind.name} ended before it served:\n${output}`);
  });
  gone.catch(() => {});
  try {
    await Promise.race([listening(place.port), gone]);
    return await passes(kind, place.port);
  } finally {
    // Postgres takes SIGINT as "now, and in good order"; MariaDB knows SIGTERM alone.
    server.kill(kind.account === "postgres" ? "SIGINT" : "SIGTERM");
    await gone.catch(() => {});
    await rm(folder, { recursive: true, force: true });
  }
}

async function passes(kind: Kind, port: number): Promise<boolean> {
  const env = { ...process.env, [kind.variable]: kind.url(port) };
  const args = ["run", "--project", "databases", kind.test];
  const tests = spawn("vitest", args, { env, stdio: "inherit" });
  const [code] = (await once(tests, "exit")) as [number | null];
  return code === 0;
}

function userOf(account: string): User {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number =>
    Number(execFileSync("id", [flag, account], { encoding: "utf8" }));
  return { uid: idOf("-u"), gid: idOf("-g") };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Fulfilled when somebody accepts connections there. */
async function listening(port: number): Promise<void> {
  const end = Date.now() + START_MS;
  for (;;) {
    const socket = connect({ host: "127.0.0.1", port });
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    if (Date.now() > end) throw new Error(`nobody listens on ${port} after ${START_MS} ms`);
    await pause(POLL_MS);
  }
}

const mustBeAll = process.argv.includes("--all");
for (const kind of KINDS) {
  if (kind.programs === undefined) {
    console.log(`LEFT OUT: ${kind.name} is not installed (Debian: ${kind.packages})`);
    if (mustBeAll) process.exitCode = 1;
    continue;
  }
  console.log(`${kind.name} from ${kind.programs}`);
  if (!(await tested(kind))) process.exitCode = 1;
}
