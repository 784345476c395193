import { failed, type Result, success } from '#lib/result.ts'

/** How the text of one setting is read. `accepts` says for the documentation what may stand there. */
export interface SettingKind<Value> {
  readonly accepts: string
  /** The value, or what it must be; the message never repeats the text, which may be a secret. */
  readonly parse: (text: string) => Result<Value, string>
}

/** Where a listener binds. Port 0 takes a free one. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** One of a few words. */
export function oneOf(...choices: readonly string[]): SettingKind<string> {
  const accepts = choices.map((choice) => `\`${choice}\``).join(' or ')
  return {
    accepts,
    parse: (text) => (choices.includes(text) ? success(text) : failed(`must be ${accepts}`)),
  }
}

/** Some of a few words, separated by commas; in the order of `choices`. */
export function someOf<Choice extends string>(...choices: readonly Choice[]): SettingKind<readonly Choice[]> {
  const accepts = `some of ${choices.map((choice) => `\`${choice}\``).join(', ')}, separated by commas`
  return {
    accepts,
    parse: (text) => {
      const given: readonly string[] = text.split(',').map((word) => word.trim())
      const known: readonly string[] = choices
      return given.every((word) => known.includes(word))
        ? success(choices.filter((choice) => given.includes(choice)))
        : failed(`must be ${accepts}`)
    },
  }
}

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number, unit: string): SettingKind<number> {
  const accepts = `${min.toLocaleString('en-US')} to ${max.toLocaleString('en-US')} ${unit}`
  return {
    accepts,
    parse: (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= min && value <= max ? success(value) : failed(`must be a whole number, ${accepts}`)
    },
  }
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/

/** `host:port`; an IPv6 host stands in brackets. */
export const address: SettingKind<Address> = {
  accepts: 'host:port',
  parse: (text) => {
    const match = ADDRESS.exec(text)
    const port = Number(match?.[3])
    return match === null || port > 65_535
      ? failed('must be host:port, for example `127.0.0.1:8180` or `[::1]:8180`')
      : success({ host: match[1] ?? match[2] ?? '', port })
  },
}

/** A path, taken as it is. */
export const path: SettingKind<string> = { accepts: 'path', parse: (text) => success(text) }

const POSTGRES_URL = /^postgres(?:ql)?:\/\/[^\s]*$/

/** A Postgres connection URL, taken as it is. */
export const postgresUrl: SettingKind<string> = {
  accepts: '`postgres://` URL',
  parse: (text) =>
    POSTGRES_URL.test(text) ? success(text) : failed('must be a URL that begins with `postgres://`'),
}

const PUBLIC_URL = /^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/

/** An http(s) URL without credentials, query and fragment; a final slash is dropped. */
export const publicUrl: SettingKind<string> = {
  accepts: '`https://` or `http://` URL',
  parse: (text) =>
    PUBLIC_URL.test(text)
      ? success(text.replace(/\/+$/, ''))
      : failed('must be an http(s) URL without credentials, query and fragment'),
}
