import { speaksTls } from '#config/unsafe-settings.ts'
import type { Config, ListenerName } from '#config.ts'
import { openTls, type Tls, type WatchedTls } from '#http/tls.ts'
import type { ProcessLog } from '#process/log.ts'

/** TLS of all listeners. */
export interface ListenerTls {
  /** Undefined for a listener that speaks plain HTTP. */
  of(listener: ListenerName): Tls | undefined
  /** Reads the files again. */
  reload(): Promise<void>
  close(): void
}

/**
 * Opens the certificate of the listeners, once with the authorities of gateways and once with those of administrators.
 *
 * @throws when a file can't be used
 */
export async function wireTls(config: Config, logger: ProcessLog): Promise<ListenerTls> {
  const { tlsClientAuthorities, adminTlsClientAuthorities } = config
  const gateways = await open(config, logger, tlsClientAuthorities)
  const isShared = tlsClientAuthorities === adminTlsClientAuthorities
  const admin = isShared ? gateways : await open(config, logger, adminTlsClientAuthorities)
  const all = new Set([gateways, admin].filter((each) => each !== undefined))
  return {
    of: (listener) => {
      if (!speaksTls(config, listener)) return undefined
      return listener === 'admin' ? admin : gateways
    },
    reload: async () => {
      for (const each of all) await each.reload()
    },
    close: () => {
      for (const each of all) each.close()
    },
  }
}

async function open(
  { tlsCertificate: certificate, tlsKey: key }: Config,
  logger: ProcessLog,
  clientAuthorities: string | undefined,
): Promise<WatchedTls | undefined> {
  if (certificate === undefined || key === undefined) return undefined
  const files = { certificate, key, clientAuthorities }
  return await openTls(files, {
    onReload: (loaded) => logger.info(loaded, 'the TLS certificate was replaced'),
    onBroken: (cause) =>
      logger.error({ cause }, 'the new TLS files can not be used; those before stay in use'),
  })
}
