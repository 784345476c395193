import { RUNTIME_ROLE, type Sql } from './connections.ts'

const ROLE_LOCK = 7_238_003

/**
 * Makes sure that the runtime role exists, may do what serving needs and no more, and can be taken by the owner's login.
 * @returns undefined when the role is usable, else why not, for an operator.
 */
export async function ensureRuntimeRole(
  owner: Sql,
  kind: 'embedded' | 'external',
): Promise<string | undefined> {
  try {
    if (await isReady(owner, kind)) return undefined
    await owner.begin(async (transaction) => {
      // Roles belong to the whole server: other databases of it may be doing the same.
      await transaction`select pg_advisory_xact_lock(${ROLE_LOCK}::bigint)`
      const login = kind === 'embedded' ? 'login' : 'nologin'
      await transaction.unsafe(`
        do $$ begin
          if not exists (select from pg_roles where rolname = '${RUNTIME_ROLE}') then
            create role ${RUNTIME_ROLE} ${login} noinherit;
          end if;
        exception when duplicate_object or unique_violation then null;
        end $$`)
      if (kind === 'embedded') await transaction.unsafe(`alter role ${RUNTIME_ROLE} login`)
      else await transaction.unsafe(`grant ${RUNTIME_ROLE} to current_user`)
      await transaction`select warder.grant_runtime()`
    })
    return undefined
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    return (
      `the least-privileged role ${RUNTIME_ROLE} could not be set up (${cause}): the server uses the owner's rights; ` +
      `as an administrator run: CREATE ROLE ${RUNTIME_ROLE}; GRANT ${RUNTIME_ROLE} TO <owner>`
    )
  }
}

/** The grants are complete in this database and the role can be taken. */
async function isReady(owner: Sql, kind: 'embedded' | 'external'): Promise<boolean> {
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
