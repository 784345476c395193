import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** The unprivileged account that every system has: Postgres refuses to run as root. */
const NOBODY = 65534
/** For servers started by root: data that the unprivileged account could not reach, sockets, copied binaries. */
const SHARED_FOLDER = '/var/lib/warder'
/** The kernel allows 107; some room for the systems that allow less. */
const SOCKET_BYTES_MAX = 99

/** The account that the server process runs under; undefined: our own. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Everything about one embedded server that follows from its data directory alone, so that every process finds it. */
export interface ServerFolders {
  /** Postgres' own data folder, 0700. */
  readonly data: string
  /** Folder of the socket. */
  readonly socketFolder: string
  readonly lock: string
  readonly log: string
  readonly account: Account | undefined
}

/**
 * Where the embedded server of `dataDir` keeps its files; makes the folders around them (not the data folder itself).
 * As root, data goes below /var/lib/warder when the unprivileged account can't reach `dataDir`.
 * @throws when existing data has become unreachable: starting with an empty database instead would lose it from sight.
 */
export function serverFolders(dataDir: string): ServerFolders {
  const wanted = join(resolve(dataDir), 'postgres')
  mkdirSync(dirname(wanted), { recursive: true })
  const account = process.getuid?.() === 0 ? accountFor(wanted) : undefined
  const hash = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16)
  const elsewhere = join(SHARED_FOLDER, hash)
  const data = account === undefined ? wanted : reachableData(wanted, elsewhere, account)
  return {
    data,
    socketFolder: socketFolder(data, hash, account),
    lock: `${data}.lock`,
    log: `${data}.log`,
    account,
  }
}

/** The owner of existing data (an ordinary user whose server root joins), else nobody. */
function accountFor(data: string): Account {
  if (!existsSync(data)) return { uid: NOBODY, gid: NOBODY }
  const { uid, gid } = statSync(data)
  return uid === 0 ? { uid: NOBODY, gid: NOBODY } : { uid, gid }
}

function reachableData(wanted: string, elsewhere: string, account: Account): string {
  const begun = existsSync(join(wanted, 'PG_VERSION'))
  if (canTraverse(dirname(wanted), account)) {
    // Data that began elsewhere stays there, even if the parents were opened up since.
    return !begun && existsSync(join(elsewhere, 'PG_VERSION')) ? elsewhere : wanted
  }
  if (begun) {
    throw new Error(
      `the database in ${wanted} can't be reached by user ${account.uid}, which Postgres runs as; ` +
        'allow passing through its parent folders (chmod o+x), or set another data folder',
    )
  }
  makeSharedFolder()
  return elsewhere
}

/** Whether `account` may pass through `folder` and all its parents, by their permission bits. */
export function canTraverse(folder: string, account: Account): boolean {
  for (let at = realpathSync(folder); ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at)
    const needed = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
    if ((mode & needed) === 0) return false
    if (at === dirname(at)) return true
  }
}

/** The folder below /var/lib that root's servers share; only root can write to it. */
export function makeSharedFolder(): string {
  mkdirSync(SHARED_FOLDER, { recursive: true })
  chmodSync(SHARED_FOLDER, 0o755)
  return SHARED_FOLDER
}

/** Our own 0700 folder in the temporary directory. @throws when another user was there first. */
export function privateFolder(): string {
  const uid = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `warder-${uid}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new Error(`${folder} must be a folder of user ${uid} that nobody else can enter; remove it`)
  }
  return folder
}

/** The data folder itself, whose 0700 keeps others out; a shorter place when the path would be too long. */
function socketFolder(data: string, hash: string, account: Account | undefined): string {
  if (Buffer.byteLength(socketPath(data)) <= SOCKET_BYTES_MAX) return data
  const folder = join(account === undefined ? privateFolder() : makeSharedFolder(), `socket-${hash}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (account !== undefined) chownSync(folder, account.uid, account.gid)
  return folder
}

/** Path of the socket that Postgres makes in `folder`. */
export function socketPath(folder: string): string {
  return join(folder, '.s.PGSQL.5432')
}
