/**
 * Requests that are signed with AWS Signature Version 4 instead of showing a key. It never says which part of a wrong signature
 * was wrong.
 */
import { type Clock, systemClock } from "../platform/clock.ts";
import {
  claimOf,
  isSignedBy,
  isTimely,
  signsEnough,
  type SignedRequest,
} from "../platform/sigv4.ts";
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import type { Bindings } from "./known-keys.ts";
import type { Principal } from "./principal.ts";
import { signerOf } from "./signing-keys.ts";

/** A request whose signature can be judged as soon as its body is there. */
export interface Signed {
  /** Of the credential's scope. */
  readonly region: string;
  /** The caller, if this body is what was signed. */
  verify(body: Uint8Array): Outcome<Principal>;
}

/** Why a request is from nobody; never more than that. */
type Unsigned = "missing" | "wrong" | "late";

const unsigned = (reason: Unsigned, detail: string) =>
  refuse("unauthenticated", detail, { reason });
const MISSING = unsigned("missing", "A request is signed with AWS Signature Version 4");
const WRONG = unsigned("wrong", "The signature is not one of this request by a known key");
const LATE = unsigned("late", "The request was signed too long ago, or ahead of time");

/** Reads who claims to have signed, before the body is read. */
export async function signedRequest(
  request: SignedRequest,
  env: Bindings,
  clock: Clock = systemClock,
): Promise<Outcome<Signed>> {
  const claim = claimOf(request);
  if (claim === undefined) return MISSING;
  if (claim === "malformed" || !signsEnough(claim, request.headers)) return WRONG;
  if (!isTimely(claim, clock.nowMs())) return LATE;
  const signer = await signerOf(claim.accessKeyId, env, clock);
  if (!signer.ok) return signer;
  const { secret, principal } = signer.value;
  return accept({
    region: claim.region,
    verify: (body) =>
      isSignedBy(secret, claim, request, body) && principal !== undefined
        ? accept(principal)
        : WRONG,
  });
}
