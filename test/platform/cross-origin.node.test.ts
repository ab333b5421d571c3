/** Who is let in from another origin, and that nobody else notices. */
import { expect, test } from "vitest";
import { crossOrigin, wrongOrigins } from "../../src/platform/cross-origin.ts";

const PAGE = "https://app.example.com";
const ask = (method: string, headers: Record<string, string>) =>
  new Request("http://halfmq.test/v1/topics", { method, headers });
const refused = () =>
  new Response("{}", { status: 401, headers: { "www-authenticate": "Bearer", vary: "x" } });
const preflight = (origin: string) =>
  ask("OPTIONS", {
    origin,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization,idempotency-key",
  });

test("a page of an allowed origin is told before its request what it may send", async () => {
  const grant = await crossOrigin(`http://localhost:3000, ${PAGE}`)(preflight(PAGE), () => {
    throw new Error("a preflight shows no key and reaches no route");
  });
  expect(grant.status).toBe(204);
  expect(Object.fromEntries(grant.headers)).toEqual({
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization,idempotency-key",
    "access-control-max-age": "7200",
    vary: "Origin, Access-Control-Request-Headers",
  });
});

test("it reads answers, refusals among them, with their headers", async () => {
  const answer = await crossOrigin(PAGE)(ask("GET", { origin: PAGE }), refused);
  expect([answer.status, await answer.text()]).toEqual([401, "{}"]);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "access-control-allow-origin": PAGE,
    "access-control-expose-headers": expect.stringContaining("retry-after") as string,
    "www-authenticate": "Bearer",
    vary: "x, Origin",
  });
});

test("it reads what the clients of each dialect look at", async () => {
  const { headers } = await crossOrigin(PAGE)(ask("GET", { origin: PAGE }), refused);
  const exposed = headers.get("access-control-expose-headers")?.split(", ") ?? [];
  const own = ["x-request-id", "retry-after", "idempotent-replayed", "date", "link", "allow"];
  const doors = ["x-amzn-requestid", "x-amzn-query-error", "x-mq-request-id"];
  for (const name of [...own, ...doors]) expect(exposed).toContain(name);
});

test("nobody else is answered otherwise than before", async () => {
  for (const [origins, request] of [
    [undefined, preflight(PAGE)],
    ["", ask("GET", { origin: PAGE })],
    [PAGE, preflight("https://app.example.com:8443")],
    [PAGE, preflight("http://app.example.com")],
    [PAGE, ask("GET", { origin: "null" })],
    [PAGE, ask("GET", {})],
  ] as const) {
    const answer = await crossOrigin(origins)(request, refused);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  }
});

test("an OPTIONS that is no preflight reaches its route", async () => {
  const asked = ask("OPTIONS", { origin: PAGE, "webhook-request-origin": "sender.example" });
  expect((await crossOrigin(PAGE)(asked, refused)).status).toBe(401);
});

test("entries that are not origins as browsers write them are told", () => {
  expect(wrongOrigins(undefined)).toEqual([]);
  expect(wrongOrigins(` ${PAGE} ,http://127.0.0.1:3000`)).toEqual([]);
  for (const wrong of ["*", "app.example.com", `${PAGE}/`, "HTTPS://app.example.com", "null"])
    expect(wrongOrigins(`${PAGE},${wrong}`)).toEqual([wrong]);
  expect(wrongOrigins(`${PAGE},`)).toEqual([""]);
});
