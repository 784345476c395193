import { RUNTIME_ROLE, type Sql, type Target, type Transaction } from './connections.ts'
import { codeOf, isConnectionLoss } from './faults.ts'

const ROLE_LOCK = 7_238_003
/** Roles belong to the whole server, the lock to one database: two databases may set up the role at the same time. */
const CONCURRENTLY_UPDATED = 'XX000'
const ATTEMPTS_MAX = 5

/**
 * Makes sure that the runtime role exists, may do what serving needs and no more, and can be taken by the owner's login.
 * @returns undefined when the role is usable, else why not, for an operator.
 */
export async function ensureRuntimeRole(owner: Sql, kind: Target['kind']): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (!(await isReady(owner, kind))) await setUp(owner, kind)
      return undefined
    } catch (error) {
      if (codeOf(error) === CONCURRENTLY_UPDATED && attempt < ATTEMPTS_MAX) continue
      if (isConnectionLoss(error)) throw error
      const cause = error instanceof Error ? error.message : String(error)
      return (
        `the least-privileged role ${RUNTIME_ROLE} could not be set up (${cause}): ` +
        `the server uses the owner's rights; as an administrator run: ` +
        `CREATE ROLE ${RUNTIME_ROLE}; GRANT ${RUNTIME_ROLE} TO <owner>`
      )
    }
  }
}

async function setUp(owner: Sql, kind: Target['kind']): Promise<void> {
  const login = kind === 'embedded' ? 'login' : 'nologin'
  await owner.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock(${ROLE_LOCK}::bigint)`
    await transaction.unsafe(`
      do $$ begin
        if not exists (select from pg_roles where rolname = '${RUNTIME_ROLE}') then
          create role ${RUNTIME_ROLE} ${login} noinherit;
        end if;
      exception when duplicate_object or unique_violation then null;
      end $$`)
    if (kind === 'embedded') await transaction.unsafe(`alter role ${RUNTIME_ROLE} login`)
    else if (!(await isMember(transaction))) await transaction.unsafe(`grant ${RUNTIME_ROLE} to current_user`)
    await transaction`select warder.grant_runtime()`
  })
}

async function isMember(sql: Transaction): Promise<boolean> {
  const [row] = await sql<{ member: boolean }[]>`
    select pg_has_role(current_user, ${RUNTIME_ROLE}, 'MEMBER') as member`
  return row?.member === true
}

/** The grants are complete in this database and the role can be taken. */
async function isReady(owner: Sql, kind: Target['kind']): Promise<boolean> {
  const [role] = await owner<
    { login: boolean; member: boolean }[]
  >`select rolcanlogin as login, pg_has_role(current_user, oid, 'MEMBER') as member
    from pg_roles where rolname = ${RUNTIME_ROLE}`
  if (role === undefined || (kind === 'embedded' ? !role.login : !role.member)) return false
  const [grants] = await owner<{ complete: boolean }[]>`
    select bool_and(has_table_privilege(${RUNTIME_ROLE}, c.oid, 'SELECT'))
      and has_table_privilege(${RUNTIME_ROLE}, 'warder.decisions', 'INSERT')
      and has_table_privilege(${RUNTIME_ROLE}, 'warder.writers', 'INSERT')
      and has_schema_privilege(${RUNTIME_ROLE}, 'warder', 'USAGE') as complete
    from pg_class c where c.relnamespace = 'warder'::regnamespace and c.relkind in ('r', 'p')`
  return grants?.complete === true
}
