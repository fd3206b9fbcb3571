/** `unknown` is «could not find out»: never admits, never counts as «no», is never remembered. */
export type Outcome = 'pass' | 'fail' | 'unknown'

/**
 * Everything that is ever said about a decision: one row a code. `sentence` is what messages print (where the specification gives a
 * text, byte for byte that text); `hint` is the next step for a person, shown by `docs/explain-a-denial.md` and offline commands.
 * Facts that came from outside are passed through `quoted` by the sentence unless the specified text prints them raw.
 */
type Row<Facts> = {
  readonly outcome: Outcome
  readonly sentence: (facts: Facts) => string
  readonly hint: string
}

function row<Facts = {}>(outcome: Outcome, sentence: (facts: Facts) => string, hint: string): Row<Facts> {
  return { outcome, sentence, hint }
}

const REGISTRY_HINT = 'this is not about the signature: check that the registry answers and that credentials for it exist, then try again'

// A table: one row a line.
// oxfmt-ignore
export const catalogue = {
  // — passes
  'static-pass': row('pass', () => 'allowed by static policy', 'nothing to do'),
  'signature-verified': row<{ keyId: string }>('pass', (f) => `signed with the key ${f.keyId}`, 'nothing to do'),
  'identity-verified': row<{ subjects: readonly string[]; issuer: string }>('pass', (f) => `signed by ${f.subjects.map(quoted).join(', ')} with issuer ${quoted(f.issuer)}`, 'nothing to do'),
  'timestamp-verified': row<{ at: string }>('pass', (f) => `a timestamp authority says ${f.at}`, 'nothing to do'),
  'log-entry-verified': row<{ log: string; index: number; at: string | undefined }>('pass', (f) => `entry ${f.index} of the log ${f.log}${f.at === undefined ? '' : `, at ${f.at}`}`, 'nothing to do'),
  'certificate-trusted': row<{ from: string; until: string }>('pass', (f) => `its path leads to a certificate authority that is trusted, and is valid from ${f.from} to ${f.until}`, 'nothing to do'),
  'certificate-logged': row('pass', () => 'every certificate transparency log that it names has signed it', 'nothing to do'),
  'identity-matches': row('pass', () => 'subject and issuer are those of one identity of the policy', 'nothing to do'),
  'signature-intact': row('pass', () => 'it is by the key of the signer, over what is here', 'nothing to do'),
  'remembered': row<{ note: string }>('pass', (f) => `verified before, within the time that passes are remembered${f.note === '' ? '' : `: ${f.note}`}`, 'nothing to do'),
  'identity-attested': row<{ predicateType: string; subjects: readonly string[]; issuer: string }>('pass', (f) => `an attestation of type ${oneLine(f.predicateType)}, signed by ${f.subjects.map(quoted).join(', ')} with issuer ${quoted(f.issuer)}`, 'nothing to do'),
  'attested': row<{ predicateType: string; keyId: string }>('pass', (f) => `an attestation of type ${oneLine(f.predicateType)}, signed with the key ${f.keyId}`, 'nothing to do'),
  'nothing-to-check': row('pass', () => 'the object has no images', 'nothing to do'),

  // — the image
  'image-unparsable': row<{ image: string }>('fail', (f) => `could not parse reference: ${oneLine(f.image, MAX_IMAGE)}`, 'write the image as registry/repository@sha256:…; scheme prefixes, upper-case repositories and spaces are not references'),
  'image-not-digest': row<{ image: string }>('fail', (f) => `invalid value: ${f.image} must be an image digest`, 'name the image by digest, or look at the next line for why its tag could not be resolved'),
  'no-matching-policies': row('fail', () => 'no matching policies', 'add a ClusterImagePolicy whose glob matches the image, or set no-match-policy'),
  'match-selector-broken': row('fail', () => 'policy with wrong match label selector', 'correct spec.match[].selector of the policy'),
  'glob-broken': row<{ glob: string }>('fail', (f) => `invalid glob ${JSON.stringify(f.glob)}`, 'correct spec.images[].glob of the policy'),
  'policies-not-known': row<{ why: string }>('unknown', (f) => `the policies in force are not known: ${f.why}`, 'wait until the controller has read every ClusterImagePolicy, and look at its log'),

  // — a policy or authority that cannot judge
  'policy-without-authorities': row<{ policy: string }>('fail', (f) => `failed to process policy: ${f.policy}`, 'give the policy at least one authority: a policy without one admits nobody'),
  'field-not-carried-out': row<{ field: string }>('fail', (f) => `${f.field} is not carried out by this version, so it never counts as satisfied`, 'remove the field, or use a version that carries it out'),
  'key-unusable': row<{ cause: string }>('fail', (f) => f.cause, 'give spec.authorities[].key a PEM public key, or a Secret in the namespace of the controller with exactly one data entry that holds one'),
  'kms-key-unknown': row<{ uri: string; why: string }>('unknown', (f) => `the public key of ${quoted(f.uri)} could not be read: ${f.why}`, 'this is not about the signature: look whether the controller reaches the key management service and may read the key (docs/operate.md), then try again'),
  'kms-key-wrong': row<{ uri: string; why: string }>('fail', (f) => `${quoted(f.uri)} has no public key that can be used: ${f.why}`, 'compare spec.authorities[].key.kms with the key in the key management service, and change something in the policy to have it read again at once (kubectl annotate cip NAME policy.sigstore.dev/refresh=…)'),
  'policy-unreadable': row<{ cause: string }>('fail', (f) => f.cause, 'correct the field that the message names'),
  'no-public-keys': row<{ authority: string }>('fail', (f) => `there are no public keys for authority ${f.authority}`, 'give the authority a key'),
  'static-fail': row<{ message: string }>('fail', (f) => `disallowed by static policy: ${f.message}`, 'the policy refuses this image whatever is signed'),
  'keyless-disabled': row('fail', () => 'keyless verification is switched off by the setting keyless: disabled in config-policy-controller', 'use a key authority, or set keyless: enabled'),

  'without-policies': row('fail', () => 'there is no ClusterImagePolicy, so images are verified keyless against the public Sigstore instance', 'add a ClusterImagePolicy, or set without-policies: no-match-policy in config-policy-controller'),
  'without-policies-admitted': row<{ signer: string }>('unknown', (f) => `there is no ClusterImagePolicy: the image was verified keyless against the public Sigstore instance, ${f.signer}`, 'add a ClusterImagePolicy that says who may sign'),
  'trust-root-not-found': row<{ text: string }>('fail', (f) => f.text, 'create the TrustRoot that the policy names, or correct trustRootRef; `kubectl get trustroots` lists those that there are'),
  'trust-root-unknown': row<{ text: string }>('unknown', (f) => f.text, 'this is not about the signature: look at the status of the TrustRoot, and try again'),
  'options-contradictory': row<{ text: string }>('fail', (f) => f.text, 'name the same TrustRoot in all of the authority'),
  'keyless-without-url': row('fail', () => 'no Keyless URL specified', 'give keyless.ca-cert the certificate chain of the certificate authority, or name a trust root (keyless.url, keyless.trustRootRef)'),
  'platform-manifests-unknown': row<{ text: string }>('unknown', (f) => `the platforms of the image are not known: ${f.text}`, REGISTRY_HINT),

  // — signatures
  'no-signatures': row('fail', () => 'no signatures found', 'sign the image digest with cosign; look whether the signature lies in another repository (source.oci) or under another tag prefix'),
  'no-referrers': row('fail', () => 'no signatures found among the referrers', 'sign the image digest with cosign'),
  'no-attestations': row('fail', () => 'no matching attestations: ', 'attest the image digest with cosign; look whether the attestation lies in another repository (source.oci) or under another tag prefix'),
  'no-attestations-in-referrers': row('fail', () => 'no attestations found among the referrers', 'attest the image digest with cosign'),
  'no-bundles': row('fail', () => 'no valid bundles exist in registry', 'attest the image digest with cosign 3, or remove signatureFormat: bundle from the authority'),
  'attestation-other-type': row<{ wanted: string; found: readonly string[] }>('fail', (f) => `no matching attestations with type ${f.wanted}, checked the following predicateTypes: ${JSON.stringify(oneLine(f.found.join(','), MAX_TYPES))}`, 'attest the image with that type, or correct attestations[].predicateType'),
  'no-matching-signatures': row('fail', () => 'no matching signatures', 'compare the key of the policy with the key that signs'),
  'signature-malformed': row<{ detail: string }>('fail', (f) => f.detail, 'sign the image again'),
  'signature-invalid': row<{ detail: string }>('fail', (f) => f.detail, 'the signature was made with another key or over other bytes: compare the key of the policy with the key that signs, and hashAlgorithm with its digest (cosign signs with SHA-384 when the key is P-384, SHA-512 when it is P-521)'),
  'payload-malformed': row<{ detail: string }>('fail', (f) => f.detail, 'sign the image again'),
  'payload-other-image': row<{ digest: string }>('fail', (f) => `invalid or missing digest in claim: ${oneLine(f.digest)}`, 'the signature belongs to another image: sign this digest'),
  'envelope-malformed': row<{ detail: string }>('fail', (f) => f.detail, 'attest the image again with a supported cosign'),
  'bundle-malformed': row<{ detail: string }>('fail', (f) => `the bundle cannot be read: ${f.detail}`, 'sign the image again with a supported cosign'),
  'bundle-not-with-key': row('fail', () => 'the bundle was not signed with a key', 'use a keyless authority for it'),
  'bundle-signs-bytes': row('fail', () => 'the bundle signs bytes, not a statement about an image', 'sign the image with cosign sign; cosign sign-blob signs no image'),
  'certificate-not-valid-now': row<{ detail: string }>('fail', (f) => f.detail, 'the signature carries a certificate that is not valid now: sign the image again, with the key alone or with a certificate that is valid'),
  'signature-manifest-unusable': row<{ text: string }>('fail', (f) => f.text, 'what lies under the .sig tag is not a signature manifest of cosign: remove the tag and sign the image again'),
  'statement-other-image': row('fail', () => 'no matching subject digest found', 'the signature belongs to another image: sign this digest'),
  'statement-other-type': row<{ predicateType: string }>('fail', (f) => `the statement is a ${quoted(f.predicateType)}, not an image signature`, 'sign the image; an attestation alone does not sign it'),
  'too-many-signatures': row<{ tried: number; beyond: number }>('unknown', (f) => `${f.tried} signatures were tried and ${f.beyond} more were not`, 'remove old signatures of this image from the registry'),
  'identity-malformed': row<{ part: 'issuer' | 'subject'; pattern: string; cause: string }>('fail', (f) => `malformed ${f.part} in identity: ${f.pattern} : ${f.cause}`, 'correct the expression in spec.authorities[].keyless.identities: its syntax is that of RE2'),
  'identity-mismatch': row<{ subjects: readonly string[]; issuer: string }>('fail', (f) => `none of the expected identities matched what was in the certificate, got subjects [${f.subjects.join(', ')}] with issuer ${f.issuer}`, 'compare spec.authorities[].keyless.identities with who signs: subject and issuer of one and the same identity must match'),
  'timestamp-invalid': row<{ detail: string }>('fail', (f) => `unable to verify RFC3161 timestamp bundle: ${f.detail}`, 'compare the timestamp authorities of the trust root with the one that the signer asks'),

  // — signatures with certificates, log entries and timestamps
  'certificate-missing': row('fail', () => 'no certificate found on signature', 'the authority is keyless, the signature was made with a key: sign without a key, or give the authority the key'),
  'certificate-untrusted': row<{ detail: string }>('fail', (f) => `cert verification failed: ${f.detail}. Check your TUF root (see cosign initialize) or set a custom root with env var SIGSTORE_ROOT_FILE`, 'compare the certificate authorities of the trust root (keyless.trustRootRef, keyless.ca-cert) with the one that issued the certificate'),
  'certificate-not-valid-then': row<{ detail: string }>('fail', (f) => f.detail, 'a certificate, or one of the CA above it, was not valid when the signature was made: sign again'),
  'certificate-not-of-key': row('fail', () => 'both public key and certificate were provided but did not match', 'the certificate beside the signature is for another key than that of the policy: sign again'),
  'log-entry-missing': row<{ detail: string }>('fail', (f) => f.detail, 'sign again with a client that uploads to a transparency log and keeps the entry beside the signature, as cosign does unless told otherwise'),
  'log-no-keys': row('fail', () => 'error verifying bundle: no trusted rekor public keys provided', 'give the TrustRoot the keys of its transparency logs (tLogs), or name another one in ctlog.trustRootRef'),
  'log-inclusion-failed': row<{ detail: string }>('fail', (f) => `failed to verify log inclusion: ${f.detail}`, 'compare the transparency logs of the trust root with the one that the signer uploads to'),
  'log-entry-invalid': row<{ detail: string }>('fail', (f) => f.detail, 'the log entry beside the signature must be about this signature, and of a log that the trust root names: compare the transparency logs of the trust root with the one that the signer uploads to, or sign again'),
  'timestamp-missing': row<{ isExpired?: true }>('fail', (f) => f.isExpired === true ? 'expected a signed timestamp to verify an expired certificate' : 'no signed timestamp was found, and the authority asks for one', 'sign with a timestamp authority (cosign: --timestamp-server-url), or set require-timestamps: false in config-policy-controller'),
  'timestamps-too-few': row<{ detail: string }>('fail', (f) => `failed to verify timestamps: ${f.detail}`, 'compare the timestamp authorities of the trust root with the one that the signer asks'),
  'leaf-certificate-untrusted': row<{ detail: string }>('fail', () => 'failed to verify leaf certificate: leaf certificate verification failed', 'compare the certificate authorities of the trust root with the one that issued the certificate, and when it was valid with when it signed; of an image sealgate explain tells which it is'),
  'certificate-timestamps-too-few': row<{ detail: string }>('fail', () => 'failed to verify signed certificate timestamp: only able to verify 0 SCT entries; unable to meet threshold of 1', 'compare the certificate transparency logs of the trust root with those that the certificate names, or set keyless.insecureIgnoreSCT'),
  'bundle-signature-invalid': row<{ detail: string }>('fail', (f) => `failed to verify signature: ${f.detail}`, 'what was signed is something else: sign this artifact'),
  'bundle-identity-mismatch': row<{ detail: string }>('fail', (f) => `failed to verify certificate identity: no matching CertificateIdentity found, last error: ${f.detail}`, 'compare spec.authorities[].keyless.identities with who signs: subject and issuer of one and the same identity must match'),
  'artifact-bytes-needed': row('fail', () => 'the key signs the artifact itself, and only its digest was given', 'give the artifact instead of its digest'),
  'certificate-malformed': row<{ detail: string }>('fail', (f) => `the certificate cannot be read: ${f.detail}`, 'a certificate is PEM or DER, of version 3: look at what made it'),
  'timestamp-certificate-untrusted': row<{ detail: string }>('fail', (f) => f.detail, 'compare the timestamp authorities of the trust root with the one that the signer asks'),
  'sct-missing': row('fail', () => 'certificate does not include required embedded SCT and no detached SCT was set', 'let the certificate authority log its certificates (certificate transparency), or set keyless.insecureIgnoreSCT'),
  'sct-no-keys': row('fail', () => 'none of the CTFE keys have been found', 'give the TrustRoot the keys of its certificate transparency logs (ctLogs), name one that has them (keyless.trustRootRef), or set keyless.insecureIgnoreSCT'),
  'sct-unknown-log': row('fail', () => 'ctfe public key not found for payload. Check your TUF root (see cosign initialize) or set a custom key with env var SIGSTORE_CT_LOG_PUBLIC_KEY_FILE', 'name a TrustRoot that has the key of the certificate transparency log that logged the certificate (keyless.trustRootRef), or set keyless.insecureIgnoreSCT'),
  'sct-invalid': row<{ detail: string }>('fail', (f) => `error verifying embedded SCT: ${f.detail}`, 'the certificate transparency log did not sign this certificate, or was not in service then: compare the logs of the trust root with those of the certificate authority'),
  'trust-root-unreadable': row<{ name: string; detail: string }>('fail', (f) => `the trust root ${quoted(f.name)} cannot be read: ${f.detail}`, 'correct the field that the message names'),
  'trust-root-expired': row<{ name: string; until: string }>('unknown', (f) => `the trust root ${quoted(f.name)} ended at ${f.until}`, 'this is not about the signature: let the controller reach the TUF repository of the trust root, give a newer one (--trusted-root), or use a newer version of Sealgate, which brings one along'),
  'trust-root-not-fetched': row<{ name: string }>('unknown', (f) => `the trust root ${quoted(f.name)} has not been fetched yet`, 'this is not about the signature: try again in a moment; the log and the status of the TrustRoot say how fetching it goes'),
  'trust-root-fetch-failed': row<{ name: string; detail: string }>('unknown', (f) => `the trust root ${quoted(f.name)} could not be fetched: ${f.detail}`, 'this is not about the signature: let the controller reach the TUF repository of the trust root, whose metadata must not have expired'),
  'trust-roots-not-known': row<{ why: string }>('unknown', (f) => `the TrustRoots of the cluster are not known: ${f.why}`, 'this is not about the signature: install the CustomResourceDefinition of TrustRoots and let the controller list and watch them'),
  'ca-cert-unusable': row<{ detail: string }>('fail', (f) => `ca-cert cannot be used: ${f.detail}`, 'give keyless.ca-cert the certificate chain of the certificate authority as PEM'),
  'ca-cert-is-key': row('fail', () => 'ca-cert is a public key: no certificate can lead to it', 'give keyless.ca-cert the certificate chain of the certificate authority as PEM'),

  // — searching a transparency log
  'log-entry-not-found': row('fail', () => 'signature not found in transparency log', 'sign again with a client that uploads to the transparency log that the policy names (ctlog.url)'),
  'log-search-failed': row<{ text: string }>('unknown', (f) => `searching log query: ${f.text}`, 'this is not about the signature: check that the log at ctlog.url answers, then try again; signatures that bring their log entry with them need no search'),
  'log-search-timeout': row<{ text: string }>('unknown', (f) => `searching log query: ${f.text}`, 'the log at ctlog.url did not answer in time: try again; signatures that bring their log entry with them need no search'),
  'log-searches-too-many': row<{ limit: number }>('unknown', (f) => `the log was searched for ${f.limit} signatures of this image, and for no more`, 'sign again with a client that keeps the log entry beside the signature, or remove old signatures of this image from the registry'),
  'log-without-search': row<{ url: string }>('unknown', (f) => `the log ${f.url} cannot be searched: Rekor v2 has no search, and a signature in it brings its entry with it`, 'sign again with a client that keeps the log entry beside the signature (cosign does by default), or name a Rekor v1 log in ctlog.url'),

  // — what was found out of the specified first line's sight
  'bundle-signature-failed': row<{ detail: string }>('fail', (f) => `a bundle among the referrers does not pass either: ${f.detail}`, 'compare the key of the policy with the key that signs'),
  'referrers-unreadable': row<{ text: string }>('unknown', (f) => `the referrers could not be read: ${f.text}`, REGISTRY_HINT),
  'credentials-tried': row<{ tried: readonly string[] }>('unknown', (f) => `credentials tried, in order: ${f.tried.join(', ')}`, 'give the workload an imagePullSecret that may read the repository'),
  'tag-unresolved': row<{ text: string }>('unknown', (f) => `the tag could not be resolved to a digest: ${f.text}`, REGISTRY_HINT),
  'tag-resolves-now': row('unknown', () => 'the tag could not be resolved when the object was admitted, but can be now: try again', 'try again'),

  // — registries
  'registry-refused': row<{ text: string }>('unknown', (f) => f.text, 'the registry refused the credentials that there are: give the workload an imagePullSecret that may read the repository'),
  'registry-credentials-unknown': row<{ text: string }>('unknown', (f) => f.text, 'this is not about the signature: look at the identity of the controller with the cloud, or at the credential helper, that the message names (docs/operate.md), then try again'),
  'registry-failed': row<{ text: string }>('unknown', (f) => f.text, REGISTRY_HINT),
  'registry-unreachable': row<{ text: string }>('unknown', (f) => f.text, REGISTRY_HINT),
  'registry-timeout': row<{ text: string }>('unknown', (f) => f.text, REGISTRY_HINT),
  'registry-rate-limited': row<{ text: string }>('unknown', (f) => f.text, 'the registry limits requests: use credentials or a mirror, and try again'),
  'registry-malformed': row<{ text: string }>('unknown', (f) => f.text, 'the registry, or something between, answers what is not a registry\'s answer: look at the URL'),
  'registry-address-refused': row<{ text: string }>('unknown', (f) => f.text, 'the address is one that a registry never has (link-local or cloud metadata)'),
  'registry-not-asked': row<{ text: string }>('unknown', (f) => f.text, 'try again; when it comes again, give the controller a higher memory limit or more replicas'),
  'registry-absent': row<{ text: string }>('fail', (f) => f.text, 'the repository, tag or blob does not exist'),

  // — the request
  'credentials-unreadable': row<{ text: string }>('unknown', (f) => f.text, 'let the controller read the Secret or ServiceAccount that the message names'),
  'deadline': row('unknown', () => 'context was canceled before validation completed', 'try again: what was verified so far is remembered'),
  'under-pressure': row('unknown', () => 'too much memory is in use: try again', 'try again; when it comes again, give the controller a higher memory limit or more replicas'),
  'internal-error': row('unknown', () => 'an internal error; the log has the stack', 'report the stack that the controller logged'),
} as const satisfies Record<string, Row<never>>

type Catalogue = typeof catalogue
/** A reason code: a row of the catalogue. Codes are part of the protocol (auditAnnotations, metrics). */
export type Code = keyof Catalogue
type FactsOf<C extends Code> = Catalogue[C] extends Row<infer F> ? ([F] extends [never] ? {} : F) : never

/** A code and the facts that its sentence needs. */
export type Reason = { [C in Code]: { readonly code: C } & Readonly<FactsOf<C>> }[Code]

export function outcomeOf(reason: Reason): Outcome {
  return catalogue[reason.code].outcome
}

/** The sentence of a reason, as the catalogue words it. */
export function sentenceOf(reason: Reason): string {
  return (catalogue[reason.code].sentence as (facts: Reason) => string)(reason)
}

/** The next step for a person. */
export function hintOf(reason: Reason): string {
  return catalogue[reason.code].hint
}

const MAX_QUOTED = 200 // characters of foreign text that a sentence shows
const MAX_IMAGE = 1024 // characters of an image as it is written; none that can be read is longer
const MAX_TYPES = 1000 // characters of the predicate types that were found; whoever attests chooses how long they are

/** Foreign text for a sentence: in backticks, on one line, without control characters, at most 200 characters. */
export function quoted(text: string): string {
  return `\`${oneLine(text).replaceAll('`', ' ')}\``
}

/**
 * The same without backticks, where the specified text has none: whoever writes such a text must not be able to write further lines, which would
 * look like the controller's own.
 */
export function oneLine(text: string, max: number = MAX_QUOTED): string {
  const shown = text.length > max ? `${text.slice(0, max)}…` : text
  return shown.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')
}
