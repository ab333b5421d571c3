/**
 * Which pages of other origins a browser lets call here and read the answers (CORS, of the Fetch standard). By default none.
 * It never looks at a key: who is let in still shows one. Requests without an origin are nobody's business here.
 */

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
/**
 * What an answer says in headers, beside those that every page may read: what the clients of each dialect look at. The SDKs of SQS
 * want the request's id, the code of a fault, and the time, to set their clock by when a signature is refused.
 */
const EXPOSED = [
  "x-request-id, retry-after, idempotent-replayed, allow, link, date, www-authenticate",
  "x-amzn-requestid, x-amzn-query-error",
  "x-mq-request-id",
].join(", ");
/** So long a browser need not ask again. */
const REMEMBERED_SECONDS = "7200";

/** An answer to a request, or what is answered in its place. */
export type CrossOrigin = (
  request: Request,
  answer: () => Response | Promise<Response>,
) => Response | Promise<Response>;

const entriesOf = (text: string | undefined): readonly string[] =>
  text === undefined || text.trim() === "" ? [] : text.split(",").map((entry) => entry.trim());

/** As a browser writes it: scheme, host and port, without a path. */
function isOrigin(entry: string): boolean {
  const url = URL.parse(entry);
  return url !== null && /^https?:$/u.test(url.protocol) && url.origin === entry;
}

/** Entries of HALFMQ_ALLOWED_ORIGINS that let nobody in: all but origins as browsers write them. */
export const wrongOrigins = (text: string | undefined): readonly string[] =>
  entriesOf(text).filter((entry) => !isOrigin(entry));

/** `origins`: HALFMQ_ALLOWED_ORIGINS, with commas between them. */
export function crossOrigin(origins: string | undefined): CrossOrigin {
  const allowed = new Set(entriesOf(origins).filter(isOrigin));
  if (allowed.size === 0) return (_, answer) => answer();
  return (request, answer) => {
    const origin = request.headers.get("origin");
    if (origin === null || !allowed.has(origin)) return answer();
    return isPreflight(request) ? granted(request, origin) : shown(answer(), origin);
  };
}

/** Before a request that a form could not send, the browser asks, and shows no key. */
const isPreflight = ({ method, headers }: Request): boolean =>
  method === "OPTIONS" && headers.has("access-control-request-method");

function granted(request: Request, origin: string): Response {
  const headers = new Headers({
    "access-control-allow-origin": origin,
    "access-control-allow-methods": METHODS,
    "access-control-max-age": REMEMBERED_SECONDS,
    vary: "Origin, Access-Control-Request-Headers",
  });
  const wanted = request.headers.get("access-control-request-headers");
  if (wanted !== null) headers.set("access-control-allow-headers", wanted);
  return new Response(null, { status: 204, headers });
}

async function shown(answered: Response | Promise<Response>, origin: string): Promise<Response> {
  const answer = await answered;
  // A WebSocket: browsers ask nobody about these, and a copy would lose it.
  if (answer.status === 101) return answer;
  const copy = new Response(answer.body, answer);
  copy.headers.set("access-control-allow-origin", origin);
  copy.headers.set("access-control-expose-headers", EXPOSED);
  copy.headers.append("vary", "Origin");
  return copy;
}
