/** The `limit` and `cursor` of a list, as the broker takes them. */
import type { PageQuery } from "../broker/broker.ts";

export const pageQuery = (query: { limit: number; cursor?: string | undefined }): PageQuery =>
  query.cursor === undefined
    ? { limit: query.limit }
    : { limit: query.limit, cursor: query.cursor };
