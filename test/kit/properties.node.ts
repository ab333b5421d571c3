/**
 * fast-check, with the same cases at each run, so that a gate that passed passes again. HALFMQ_PROPERTY_SEED gives others; a
 * seed that finds something belongs into its property's examples.
 */
import { configureGlobal } from "fast-check";

configureGlobal({ seed: Number(process.env["HALFMQ_PROPERTY_SEED"] ?? 20_261_126) });

export * from "fast-check";
