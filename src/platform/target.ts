/**
 * Which URLs the server may call: https on public addresses, plus what the deployment allows by name. Pure; it judges the
 * spelling of a URL and never resolves a name. Every outgoing call is judged here, when registered and before each call.
 *
 * A public name may still lead to a private address, and may change between a look-up and the call. Workers cannot see
 * what a name resolves to. On Cloudflare there is nothing private behind `fetch`: it leaves from the edge, where neither
 * loopback nor a private network nor a metadata service is in reach. Under plain workerd the network service judges the
 * address that it connects to: `fetch` goes through one that takes public addresses only, and just targets for which
 * `isPrivate` is true go through the binding HALFMQ_PRIVATE, whose network is open.
 */
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import { forbiddenAddress } from "./address.ts";

const URL_CHARS_MAX = 2_048;

export interface TargetPolicy {
  /** Exact hosts, canonical, that may be called whatever they are, also by http. */
  readonly allowed: ReadonlySet<string>;
  /** The server itself listens on loopback only, so it may call there. */
  readonly loopback: boolean;
}

/** The policy of a deployment, from its variables. */
export function targetPolicy(env: {
  readonly HALFMQ_ALLOWED_TARGETS?: string;
  readonly HALFMQ_LOOPBACK?: string;
}): TargetPolicy {
  const allowed = new Set<string>();
  for (const entry of entriesOf(env.HALFMQ_ALLOWED_TARGETS)) {
    const host = canonicalHost(entry);
    if (host !== undefined) allowed.add(host);
  }
  return { allowed, loopback: env.HALFMQ_LOOPBACK === "1" };
}

/** Entries of HALFMQ_ALLOWED_TARGETS that allow nothing: all but bare host names and addresses. */
export const wrongTargets = (text: string | undefined): readonly string[] =>
  entriesOf(text).filter((entry) => canonicalHost(entry) === undefined);

const entriesOf = (text: string | undefined): readonly string[] =>
  text === undefined || text.trim() === "" ? [] : text.split(",").map((entry) => entry.trim());

/** The parsed URL when it may be called. The caller fetches this URL, never the text that came. */
export function checkTarget(url: string, policy: TargetPolicy, field = "url"): Outcome<URL> {
  const parsed = parse(url);
  const reason = parsed === undefined ? "not_a_url" : refusalReason(parsed, policy);
  if (parsed !== undefined && reason === undefined) return accept(parsed);
  return refuse(
    "target_not_allowed",
    "Calls go to https on public addresses, and to hosts in HALFMQ_ALLOWED_TARGETS.",
    { field, reason: reason ?? "not_a_url" },
  );
}

/** True when an accepted URL is allowed by name or as loopback, so that its address may be a private one. */
export function isPrivate(url: URL, policy: TargetPolicy): boolean {
  const host = hostOf(url);
  return policy.allowed.has(host) || (policy.loopback && isLoopback(host));
}

function refusalReason(url: URL, policy: TargetPolicy): string | undefined {
  if (url.protocol !== "https:" && url.protocol !== "http:") return "scheme";
  if (url.username !== "" || url.password !== "") return "user_info";
  if (isPrivate(url, policy)) return undefined;
  if (url.protocol !== "https:") return "scheme";
  const host = hostOf(url);
  return (forbiddenAddress(host) ?? forbiddenName(host)) || undefined;
}

function parse(text: string): URL | undefined {
  // The parser would drop tabs and line breaks anywhere and take "\" for "/": no honest URL has them.
  if (text.length > URL_CHARS_MAX || /[\s\\]/u.test(text)) return undefined;
  return URL.parse(text) ?? undefined;
}

/** The host without brackets and without the dot of the root. */
function hostOf(url: URL): string {
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  return host.replace(/\.+$/, "");
}

/** A host as an operator writes it, in the spelling that a parsed URL has; undefined when it is no bare host. */
function canonicalHost(text: string): string | undefined {
  const bracketed = text.includes(":") && !text.startsWith("[") ? `[${text}]` : text;
  const url = /^[^\s/?#@\\]+$/u.test(bracketed) ? URL.parse(`http://${bracketed}/`) : null;
  if (url === null || url.port !== "") return undefined;
  const host = hostOf(url);
  // A pattern parses as a host, but none is called so.
  return host === "" || host.includes("*") ? undefined : host;
}

const LOOPBACK_NAMES = /^(?:.+\.)?localhost$/;
const LOCAL_NAMES = /(?:^|\.)(?:local|internal|intranet|lan|corp|home|localdomain|arpa)$/;

function isLoopback(host: string): boolean {
  return LOOPBACK_NAMES.test(host) || forbiddenAddress(host) === "loopback";
}

/** Why a host name must not be called; "" for one that may stand in public DNS. */
function forbiddenName(host: string): string {
  if (LOOPBACK_NAMES.test(host)) return "loopback";
  // A name without a dot is found only by a search list, that is on a private network.
  return !host.includes(".") || LOCAL_NAMES.test(host) ? "private" : "";
}
