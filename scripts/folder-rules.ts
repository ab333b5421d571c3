/**
 * `npm run rules`: which folder of src may import which, which packages the pure ones may use, and that only some touch the
 * ambient clock. The table is the rule. It never changes a file, and never passes without having seen every file.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";

interface FolderRule {
  /** Folders that it may import, beside itself. */
  readonly may: readonly string[];
  /** Folders of which it may import types. */
  readonly mayTypes?: readonly string[];
  /** Packages that it may import; absent: any. */
  readonly packages?: readonly string[];
}

const MEMORY = ["core", "protocol", "platform"];
const DIALECT = ["broker", "auth", "protocol", "platform", "core"];

const FOLDERS: Readonly<Record<string, FolderRule>> = {
  protocol: { may: [], packages: ["zod"] },
  core: { may: ["protocol"], packages: [] },
  platform: { may: ["protocol"] },
  bodies: { may: MEMORY },
  queue: { may: [...MEMORY, "bodies"] },
  registry: { may: MEMORY },
  coordinator: { may: [...MEMORY, "bodies"] },
  leasing: { may: [...MEMORY, "bodies"] },
  push: { may: [...MEMORY, "leasing", "bodies"] },
  gateway: { may: [...MEMORY, "leasing", "bodies"] },
  scheduler: { may: MEMORY },
  broker: {
    may: ["protocol", "platform", "core", "bodies"],
    mayTypes: ["queue", "registry", "coordinator"],
  },
  auth: { may: ["protocol", "platform", "core", "broker"] },
  api: { may: DIALECT },
  rpc: { may: [...DIALECT, "api"] },
  adapters: { may: DIALECT },
  client: { may: ["protocol"], packages: [] },
  console: { may: ["client", "protocol"] },
  cli: { may: ["client", "protocol", "platform"] },
};

/** These wire the Worker together and may import everything. */
const WIRING = new Set(["src/worker.ts", "src/bindings.d.ts"]);

/** What oxlint has no rule for: a date made of the ambient clock. */
const AMBIENT_DATE = /\bnew Date\(\)|(?<!new )\bDate\(\)/u;
const CLOCK_OWNERS = /^src\/(?:platform|client|console|cli)\//u;

const files = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "src"],
  {
    encoding: "utf8",
  },
)
  .split("\n")
  .filter((file) => file.endsWith(".ts") && existsSync(file));
const faults = [...strayFiles(), ...ambientDates(), ...(await importFaults())];
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`${files.length} files keep the folder rules`);

function strayFiles(): string[] {
  return files
    .filter((file) => !WIRING.has(file) && !(folderOf(file) in FOLDERS))
    .map((file) => `${file}: no rule for this folder`);
}

function ambientDates(): string[] {
  return files
    .filter((file) => !CLOCK_OWNERS.test(file) && AMBIENT_DATE.test(readFileSync(file, "utf8")))
    .map((file) => `${file}: takes the time from the ambient clock; take nowMs as a parameter`);
}

async function importFaults(): Promise<string[]> {
  const { output } = await cruise(["src"], {
    parser: "swc",
    validate: true,
    ruleSet: { forbidden: rules() },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { extensions: [".ts", ".js"] },
  });
  const { modules, summary } = output as ICruiseResult;
  const seen = new Set(modules.map((module) => module.source));
  return [
    ...files.filter((file) => !seen.has(file)).map((file) => `${file}: not cruised`),
    ...modules
      .flatMap((module) => module.dependencies.map((dependency) => ({ module, dependency })))
      .filter(({ dependency }) => dependency.couldNotResolve && isOurs(dependency.module))
      .map(
        ({ module, dependency }) => `${module.source}: imports ${dependency.module}: no such file`,
      ),
    ...summary.violations.map(({ from, to, rule }) => `${from}: imports ${to}: ${rule.name}`),
  ];
}

function rules(): IForbiddenRuleType[] {
  const circles: IForbiddenRuleType = {
    name: "no import leads back to where it began",
    severity: "error",
    from: {},
    to: { circular: true },
  };
  const doors: IForbiddenRuleType = {
    name: "no door knows another",
    severity: "error",
    from: { path: "^src/adapters/([^/]+)/" },
    to: { path: "^src/adapters/[^/]+/", pathNot: "^src/adapters/$1/" },
  };
  return [
    circles,
    doors,
    ...Object.entries(FOLDERS).flatMap(([name, rule]) => rulesOf(name, rule)),
  ];
}

function rulesOf(name: string, { may, mayTypes = [], packages }: FolderRule): IForbiddenRuleType[] {
  const from = { path: `^src/${name}/` };
  const values = within([name, ...may]);
  const found: IForbiddenRuleType[] = [
    {
      name: `${name} may import ${[...may, ...mayTypes].join(", ") || "no other folder"}`,
      severity: "error",
      from,
      to: { path: "^src/", pathNot: within([name, ...may, ...mayTypes]) },
    },
  ];
  if (mayTypes.length > 0) {
    found.push({
      name: `${name} may import only types of ${mayTypes.join(", ")}`,
      severity: "error",
      from,
      to: { path: "^src/", pathNot: values, dependencyTypesNot: ["type-only"] },
    });
  }
  if (packages !== undefined) {
    found.push({
      name: `${name} may use ${packages.join(", ") || "no package"}`,
      severity: "error",
      from,
      to: { pathNot: ["^src/", "^\\.", ...packages.map((each) => `^node_modules/${each}/`)] },
    });
  }
  return found;
}

function within(folders: readonly string[]): string[] {
  return folders.map((folder) => `^src/${folder}/`);
}

function folderOf(file: string): string {
  return file.split("/")[1] ?? "";
}

function isOurs(specifier: string): boolean {
  return specifier.startsWith(".");
}
