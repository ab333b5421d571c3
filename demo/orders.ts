/** The orders of the demo: one line of orders.csv each, and how a message carries one. It never writes. */
import { readFileSync } from "node:fs";

export interface Order {
  readonly order: number;
  readonly customer: string;
  readonly article: string;
  readonly quantity: number;
  readonly amountCents: number;
}

export const TOPIC = "orders";
export const PRODUCER_GROUP = "order-service";
export const CONSUMER_GROUP = "stock-service";

/** What every customer may spend; orders past it are refused by the local rule. */
export const CREDIT_CENTS = 100_000;

const FILE = new URL("orders.csv", import.meta.url);

/** The first so many orders of the file. */
export function readOrders(count: number): Order[] {
  const [, ...lines] = readFileSync(FILE, "utf8").trim().split("\n");
  return lines.slice(0, count).map((line) => {
    const [order, customer = "", article = "", quantity, amountCents] = line.split(",");
    return {
      order: Number(order),
      customer,
      article,
      quantity: Number(quantity),
      amountCents: Number(amountCents),
    };
  });
}
