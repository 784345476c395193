import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'

/** PEM files that a listener speaks TLS with. */
export interface TlsFiles {
  /** The certificate, followed by its intermediates. */
  readonly certificate: string
  readonly key: string
  /** Authorities of client certificates. With it, nobody connects without a certificate of theirs. */
  readonly clientAuthorities: string | undefined
}

/** What the server of a listener is given. */
export type TlsOptions = SecureContextOptions & {
  readonly requestCert: boolean
  readonly rejectUnauthorized: true
}

/** The present certificate of listeners, and its successors. */
export interface Tls {
  readonly options: () => TlsOptions
  /** Calls `use` with each later certificate. */
  onChange(use: (options: TlsOptions) => void): void
}

/** A `Tls` whose files are read again. */
export interface WatchedTls extends Tls {
  /** Reads the files now. What can't be used is reported, and the certificate before stays in use. */
  reload(): Promise<void>
  close(): void
}

/** What happens to the files. Neither a key nor a path is told. */
export interface TlsEvents {
  readonly onReload: (certificate: { readonly serial: string; readonly validTo: string }) => void
  readonly onBroken: (cause: string) => void
}

const POLL_MILLISECONDS = 2_000

interface Loaded {
  readonly digest: string
  readonly options: TlsOptions
  readonly certificate: X509Certificate
}

/**
 * Reads the files, and reads them again every two seconds: certificates are replaced by renaming, by links and by writing in
 * place, and watching is reliable for none of the three everywhere. Connections that are open stay open.
 *
 * @throws when the files can't be used at the start
 */
export async function openTls(files: TlsFiles, events: TlsEvents): Promise<WatchedTls> {
  let loaded = load(files, await readFiles(files))
  let refused = ''
  const users: ((options: TlsOptions) => void)[] = []
  const reload = async (): Promise<void> => {
    let digest = 'unreadable'
    try {
      const texts = await readFiles(files)
      digest = digestOf(texts)
      if (digest === loaded.digest) return
      loaded = load(files, texts)
      for (const use of users) use(loaded.options)
      events.onReload({ serial: loaded.certificate.serialNumber, validTo: loaded.certificate.validTo })
    } catch (error) {
      // Each broken state is reported once, however often it is read.
      if (digest !== refused) events.onBroken(error instanceof Error ? error.message : 'unknown')
      refused = digest
    }
  }
  const timer = setInterval(() => void reload(), POLL_MILLISECONDS)
  timer.unref()
  return {
    options: () => loaded.options,
    onChange: (use) => users.push(use),
    reload,
    close: () => clearInterval(timer),
  }
}

type Texts = readonly [certificate: string, key: string, clientAuthorities: string | undefined]

async function readFiles({ certificate, key, clientAuthorities }: TlsFiles): Promise<Texts> {
  return [
    await read(certificate, 'certificate'),
    await read(key, 'key'),
    clientAuthorities === undefined ? undefined : await read(clientAuthorities, 'client authorities'),
  ]
}

async function read(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new Error(`the file with the ${what} can not be read${code}`)
  }
}

function load(files: TlsFiles, texts: Texts): Loaded {
  const [cert, key, ca] = texts
  const certificate = parsed(cert, 'certificate')[0]
  if (certificate === undefined) throw new Error('the certificate file holds no certificate')
  if (certificate.validToDate.getTime() <= Date.now())
    throw new Error(`the certificate has expired (${certificate.validTo})`)
  if (ca !== undefined && parsed(ca, 'client authority').length === 0)
    throw new Error('the file of client authorities holds no certificate')
  const digest = digestOf(texts)
  const options: TlsOptions = {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    minVersion: 'TLSv1.2',
    // INVARIANT: a session of before can't be resumed after a change, else a client whose authority was removed could.
    sessionIdContext: digest.slice(0, 32),
    requestCert: files.clientAuthorities !== undefined,
    rejectUnauthorized: true,
  }
  try {
    createSecureContext(options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new Error(`the certificate and the key can not be used together${code}`)
  }
  return { digest, options, certificate }
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

function parsed(text: string, what: string): readonly X509Certificate[] {
  try {
    return (text.match(PEM) ?? []).map((block) => new X509Certificate(block))
  } catch {
    throw new Error(`a ${what} can not be parsed`)
  }
}

function digestOf(texts: Texts): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text?.length ?? -1}:${text ?? ''}`)
  return hash.digest('hex')
}
