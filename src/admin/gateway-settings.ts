import { failed, type Result, success } from '#lib/result.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { CertificateSource } from '#model/request.ts'
import { type AdminFailure, invalid } from './failure.ts'

/** Every way in which a gateway can pass client certificates on. */
export const CERTIFICATE_SOURCES: readonly CertificateSource[] = ['tls', 'envoy', 'xfcc', 'nginx', 'rfc9440']

/** Settings as an administrator writes them. Undefined: as before; null or an empty list: none. */
export interface GatewaySettingsRequest {
  readonly externalUrl?: string | null | undefined
  readonly externalHosts?: readonly string[] | null | undefined
  readonly certificateSource?: string | null | undefined
  readonly audience?: readonly string[] | null | undefined
  readonly resourceMetadata?: string | null | undefined
  readonly apiKeys?: string | null | undefined
}

/** What changes in stored settings: null removes a member. */
export type GatewaySettingsChange = { readonly [Key in keyof GatewaySettings]?: GatewaySettings[Key] | null }

const HOST = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::\d{1,5})?$/
const LIST_MAX = 32

/** Checks settings; the first thing that is wrong is the failure. */
export function parseGatewaySettings(
  request: GatewaySettingsRequest,
): Result<GatewaySettingsChange, AdminFailure> {
  const { externalUrl, externalHosts, certificateSource, audience, resourceMetadata } = request
  const objection = objectionToUrls(request) ?? objectionToLists(request)
  if (objection !== undefined) return failed(objection)
  const source = CERTIFICATE_SOURCES.find((each) => each === certificateSource)
  if (typeof certificateSource === 'string' && source === undefined)
    return failed(wrong('the certificate source', `use ${CERTIFICATE_SOURCES.join(', ')}`))
  const { apiKeys } = request
  if (typeof apiKeys === 'string' && apiKeys !== 'accept')
    return failed(wrong('what is said about API keys', 'write `accept`, or nothing to refuse them'))
  return success({
    ...(apiKeys !== undefined && { apiKeys: apiKeys === null ? null : 'accept' }),
    ...(externalUrl !== undefined && { externalUrl }),
    ...(externalHosts !== undefined && { externalHosts: listOrNone(externalHosts) }),
    ...(certificateSource !== undefined && { certificateSource: source ?? null }),
    ...(audience !== undefined && { audience: listOrNone(audience) }),
    ...(resourceMetadata !== undefined && { resourceMetadata }),
  })
}

function objectionToUrls({
  externalUrl,
  resourceMetadata,
}: GatewaySettingsRequest): AdminFailure | undefined {
  if (typeof externalUrl === 'string' && !isBaseUrl(externalUrl))
    return wrong(
      'the external URL',
      'write `https://api.example.com`, with a path at most; `http` only for localhost',
    )
  if (typeof resourceMetadata === 'string' && !isUrl(resourceMetadata))
    return wrong('the URL of the resource metadata', 'write an `https` URL')
  return undefined
}

function objectionToLists({ externalHosts, audience }: GatewaySettingsRequest): AdminFailure | undefined {
  const hosts = externalHosts ?? []
  if (hosts.length > LIST_MAX || !hosts.every((host) => HOST.test(host)))
    return wrong('an external host', 'write host names in lower case, with a port if it is not the usual one')
  const audiences = audience ?? []
  if (audiences.length > LIST_MAX || !audiences.every(isAudience))
    return wrong('an audience', 'write what the `aud` claim of tokens says')
  return undefined
}

/** `before` with `change`; null where nothing is left. */
export function changedSettings(
  before: GatewaySettings | null,
  change: GatewaySettingsChange,
): GatewaySettings | null {
  const after = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null)
  return after.length === 0 ? null : Object.fromEntries(after)
}

function listOrNone(list: readonly string[] | null): readonly string[] | null {
  return list === null || list.length === 0 ? null : [...new Set(list)]
}

function isAudience(text: string): boolean {
  return /^[\x21-\x7e]{1,1024}$/.test(text)
}

function isUrl(text: string): boolean {
  if (text.length > 1_024 || /[^\x21-\x7e]/.test(text) || !URL.canParse(text)) return false
  const { protocol, hostname, username, password, hash } = new URL(text)
  if (username !== '' || password !== '' || hash !== '') return false
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  return protocol === 'https:' || (protocol === 'http:' && isHere)
}

/** Nothing after the path, so that paths can be added to it. */
function isBaseUrl(text: string): boolean {
  return isUrl(text) && !text.includes('?')
}

function wrong(what: string, help: string): AdminFailure {
  return invalid('gateway.invalid', `${what} can not be used`, help)
}
