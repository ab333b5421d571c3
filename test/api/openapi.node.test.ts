/** The description of the interface says no more than what the routes do, and says what each answers. */
import { expect, test } from "vitest";
import { ANSWERS, TEXT_ANSWERS } from "../../src/api/answers.ts";
import { CATALOGUE } from "../../src/api/catalogue.ts";
import { testEdge } from "./edge.node.ts";

test("the description shows what every route answers, and no route that is not there", () => {
  const withAnswers = CATALOGUE.filter(({ statuses }) => !statuses.includes(101));
  const described = [...Object.keys(ANSWERS), ...Object.keys(TEXT_ANSWERS)];
  expect(described.toSorted()).toEqual(
    withAnswers.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test("the description shows an idempotency key where one counts, and nowhere else", async () => {
  const { call } = testEdge();
  const { json } = await call("GET", "/openapi.json");
  const paths = json["paths"] as Record<string, Record<string, { parameters: { name: string }[] }>>;
  const shown = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { parameters }]) => parameters.some(({ name }) => name === "Idempotency-Key"))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  const bodies: Record<string, unknown> = {
    "POST /v1/topics/{topic}/messages": { body: 1 },
    "POST /v1/topics/{topic}/transactions": { producerGroup: "p", message: { body: 1 } },
    "POST /v1/transactions/{id}/commit": {},
    "POST /v1/transactions/{id}/rollback": {},
    "POST /v1/transactions/{id}/unknown": {},
    "POST /v1/transactions/{id}/resume": {},
  };
  expect(shown).toEqual(Object.keys(bodies));
  for (const [route, body] of Object.entries(bodies)) {
    const path = route.slice("POST ".length).replace("{topic}", "t").replace("{id}", "tx_1_0_0");
    const { json: refused } = await call("POST", path, body, {
      headers: { "idempotency-key": "k".repeat(129) },
    });
    expect(refused, route).toMatchObject({ field: "Idempotency-Key" });
  }
});
