/** From a method and a path to the operation, for ways in that have no router of their own. It never looks at a body. */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { CATALOGUE } from "./catalogue.ts";
import type { Mounted } from "./perform.ts";
import { scopesOf } from "./scopes.ts";

interface Node {
  readonly children: Map<string, Node>;
  /** By method. */
  readonly mounted: Map<string, Mounted>;
}

interface Route {
  readonly mounted: Mounted;
  /** Decoded as far as they can be. */
  readonly params: Readonly<Record<string, string>>;
}

/** Of the child that takes any one segment. */
const ANY = "{}";

const nodeOf = (): Node => ({ children: new Map(), mounted: new Map() });
const segmentsOf = (path: string): string[] => path.split("/").slice(1);

const root = nodeOf();
for (const operation of CATALOGUE) {
  let node = root;
  for (const segment of segmentsOf(operation.path)) {
    const name = segment.startsWith("{") ? ANY : segment;
    const next = node.children.get(name) ?? nodeOf();
    node.children.set(name, next);
    node = next;
  }
  node.mounted.set(operation.method, { operation, scopes: scopesOf(operation) });
}

function find(path: string): { node: Node | undefined; values: string[] } {
  const values: string[] = [];
  let node: Node | undefined = root;
  for (const segment of segmentsOf(path)) {
    const exact: Node | undefined = node?.children.get(segment);
    if (exact === undefined) values.push(segment);
    node = exact ?? (segment === "" ? undefined : node?.children.get(ANY));
  }
  return { node, values };
}

/** `path` is encoded and has no query. */
export function routeOf(method: string, path: string): Outcome<Route> {
  const { node, values } = find(path);
  const mounted = node?.mounted.get(method);
  if (mounted === undefined) return missing(path, [...(node?.mounted.keys() ?? [])]);
  const names = segmentsOf(mounted.operation.path).filter((each) => each.startsWith("{"));
  const params = names.map((name, at) => [name.slice(1, -1), decoded(values[at] ?? "")]);
  return accept({ mounted, params: Object.fromEntries(params) as Record<string, string> });
}

/** The methods that a path takes. */
export const methodsAt = (path: string): readonly string[] => [
  ...(find(path).node?.mounted.keys() ?? []),
];

export const missing = (path: string, methods: readonly string[]) =>
  methods.length === 0
    ? refuse("route_not_found", `There is nothing at ${path}`)
    : refuse("method_not_allowed", `This path takes ${methods.join(", ")}`, { allow: methods });

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Refused by perform, which looks at the whole path.
    return segment;
  }
}
